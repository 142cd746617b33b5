"""What every baseline promises (dynsal.baselines.base), whatever the frames."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import io
from threadpoolctl import threadpool_limits

from dynsal.baselines import create
from dynsal.config_baselines import (
    IclOptions,
    Options,
    PqftOptions,
    RareStyleOptions,
    SelfResemblanceOptions,
    SpectralOptions,
    TemporalSpectralOptions,
)
from dynsal.errors import DataError
from dynsal.prepare import Frame

MODELS = [
    PqftOptions(tau=1),
    PqftOptions(variant="guo"),
    IclOptions(),
    IclOptions(final="plain", half_life=2.0),
    SelfResemblanceOptions(block=3, overlap=1),
    SelfResemblanceOptions(form="static_global"),
    SelfResemblanceOptions(form="static_local"),
    SpectralOptions(),
    TemporalSpectralOptions(block=3),
    TemporalSpectralOptions(form="phase3d"),
    RareStyleOptions(),
]
each = pytest.mark.parametrize("options", MODELS, ids=repr)


@pytest.fixture(scope="session")
def files(tmp_path_factory) -> dict[str, Path]:
    path = tmp_path_factory.mktemp("contract") / "AW.mat"
    io.savemat(path, {"W": np.random.default_rng(0).normal(size=(192, 192))})
    return {"AW.mat": path}


@st.composite
def videos(draw: st.DrawFn) -> list[Frame]:
    """Draw up to four frames of any size, from black to noise, some of them kept."""
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    kind = draw(st.sampled_from(["black", "flat", "grey", "noise", "still"]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kept = draw(st.lists(st.booleans(), min_size=1, max_size=4))
    shape = (len(kept), height, width, 3)
    pixels = {
        "black": np.zeros(shape),
        "flat": np.full(shape, rng.integers(1, 256, 3)),
        "grey": np.broadcast_to(rng.integers(0, 256, (*shape[:3], 1)), shape),
        "noise": rng.integers(0, 256, shape),
        "still": np.broadcast_to(rng.integers(0, 256, (1, *shape[1:])), shape),
    }[kind].astype(np.uint8)
    return [Frame(2 * i, i / 30, pixels[i], keep) for i, keep in enumerate(kept)]


@each
@settings(max_examples=12, deadline=None)
@given(frames=videos())
def test_every_kept_frame_gets_a_finite_map_of_its_own_size(files, options: Options, frames):
    found = list(create(options, files).maps(iter(frames)))
    assert [index for index, _ in found] == [frame.index for frame in frames if frame.kept]
    for _, one in found:
        assert one.dtype == np.float32
        assert one.shape == frames[0].bgr.shape[:2]
        assert np.isfinite(one).all()
        assert one.min() >= 0


def film(n: int, height: int = 90, width: int = 120) -> list[Frame]:
    coarse = np.random.default_rng(1).integers(0, 256, (n, 9, 12, 3), dtype=np.uint8)
    return [Frame(i, i / 30, cv2.resize(coarse[i], (width, height)), True) for i in range(n)]


@each
def test_maps_do_not_depend_on_threads_or_on_what_was_seen_before(files, options: Options):
    model = create(options, files)
    threads = cv2.getNumThreads()
    found = []
    try:
        for n in (1, 2, 5):
            cv2.setNumThreads(n)
            with threadpool_limits(n):
                found.append([one for _, one in model.maps(film(5))])
    finally:
        cv2.setNumThreads(threads)
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


@each
def test_frames_of_two_sizes_are_refused(files, options: Options):
    with pytest.raises(DataError, match="frame 1: has 44x40 pixels, the first one 40x44"):
        list(create(options, files).maps([*film(1, 44, 40), Frame(1, 0.1, film(1, 40, 44)[0].bgr, True)]))


@each
def test_no_frames_give_no_maps(files, options: Options):
    assert list(create(options, files).maps([])) == []
