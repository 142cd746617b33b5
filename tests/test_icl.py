"""ICL against its definition patch by patch, golden weights by hand, its memory, and its file of filters."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import io

from dynsal.baselines.icl import Icl, coding_length, read_filters
from dynsal.baselines.matlab import imfilter, imresize, mat2gray
from dynsal.config_baselines import IclOptions
from dynsal.errors import DataError
from dynsal.prepare import Frame

W = np.random.default_rng(11).normal(size=(192, 192))


@pytest.fixture(scope="session")
def files(tmp_path_factory) -> dict[str, Path]:
    path = tmp_path_factory.mktemp("icl") / "AW.mat"
    io.savemat(path, {"A": np.linalg.inv(W), "W": W})
    return {"AW.mat": path}


def video(n: int, kept: set[int] | None = None) -> list[Frame]:
    rng = np.random.default_rng(2)
    coarse = rng.integers(0, 256, (n, 12, 16, 3), dtype=np.uint8)
    return [Frame(i, i / 30, cv2.resize(coarse[i], (48, 36)), kept is None or i in kept) for i in range(n)]


def patches(bgr: np.ndarray) -> np.ndarray:
    """Return all patches, 192 x 8249, in Matlab's order of elements."""
    image = imresize(bgr[..., ::-1] / 255.0, (80, 120))
    return np.array([image[y : y + 8, x : x + 8].ravel(order="F") for y in range(73) for x in range(113)]).T


def weights_of(activity: np.ndarray) -> np.ndarray:
    p = activity / activity.sum()
    entropy = sum(-x * math.log2(x) for x in p)
    gain = np.array([max(0.0, -entropy - math.log2(x) - x - x * math.log2(x)) for x in p])
    return gain / gain.sum()


def map_of(bgr: np.ndarray, activity: np.ndarray | None, final: str) -> np.ndarray:
    f = abs(W @ patches(bgr))
    energy = weights_of(f.sum(axis=1) if activity is None else activity) @ f
    total = np.zeros((80, 120))
    for k, (y, x) in enumerate(np.ndindex(73, 113)):
        total[y : y + 8, x : x + 8] += energy[k]
    small = mat2gray(total**2)
    if final == "demo":
        taps = np.arange(-3.5, 4)
        kernel = np.exp(-(taps[:, None] ** 2 + taps**2) / (2 * 8**2))
        small = imfilter(small**2, kernel / kernel.sum())
    return np.maximum(imresize(small, bgr.shape[:2]), 0)


@pytest.mark.parametrize("final", ["demo", "plain"])
def test_map_equals_the_definition_patch_by_patch(files, final):
    (frame,) = video(1)
    ((index, found),) = Icl(IclOptions(final=final), files).maps([frame])
    assert index == 0
    np.testing.assert_allclose(found, map_of(frame.bgr, None, final), atol=1e-6)


def test_weights_by_hand():
    # p = 1/2, 1/4, 1/4, H = 3/2; gains -1/2 (cut), 3/4, 3/4. A feature that never answers has none.
    np.testing.assert_allclose(coding_length(np.array([8.0, 0.0, 4.0, 4.0])), [0, 0, 0.5, 0.5])


@pytest.mark.parametrize("activity", [[0.0, 0.0], [3.0, 0.0]])
def test_no_weights_without_anything_to_gain(activity):
    assert not coding_length(np.array(activity)).any()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(1e-3, 1e3), min_size=8, max_size=40))
def test_rarer_features_weigh_more(activity):
    found = coding_length(np.array(activity))
    assert found.sum() == pytest.approx(1)
    # The gain falls with p up to p = 1/4 (its slope is -(1/p + 1) / ln 2 - 1 - log2 p).
    p = np.array(activity) / sum(activity)
    order = np.argsort(p[p < 0.25])
    assert (np.diff(found[p < 0.25][order]) <= 1e-12).all()


def test_past_activity_decays_over_all_frames_kept_or_not(files):
    half_life, frames = 2.5, video(4, kept={0, 3})
    found = dict(Icl(IclOptions(half_life=half_life), files).maps(frames))
    assert list(found) == [0, 3]
    np.testing.assert_allclose(found[0], map_of(frames[0].bgr, None, "demo"), atol=1e-6)
    activity = sum(
        math.exp((s - 3) / half_life) * abs(W @ patches(frames[s].bgr)).sum(axis=1) for s in range(3)
    )
    np.testing.assert_allclose(found[3], map_of(frames[3].bgr, activity, "demo"), atol=1e-6)
    static = dict(Icl(IclOptions(), files).maps(frames))
    assert abs(static[3] - found[3]).max() > 1e-3


def test_missing_filters_are_named():
    for files in ({}, {"AW.mat": Path("nowhere/AW.mat")}):
        with pytest.raises(DataError, match=r"AW\.mat: the filters of ICL are missing\. Download"):
            Icl(IclOptions(), files)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"A": W}, "has no matrix W"),
        ({"W": W[:, :64]}, "W is 192 x 64 float64, not 192 x 192"),
        ({"W": W.astype(np.float32)}, "float32, not 192 x 192 finite float64"),
        ({"W": np.full_like(W, np.nan)}, "finite float64"),
        (b"not a MATLAB file, but long enough for its header" * 9, "is not a MATLAB 5 file, or is damaged"),
        (b"", "is not a MATLAB 5 file, or is damaged"),
    ],
)
def test_bad_filters_are_named(tmp_path, content, problem):
    path = tmp_path / "AW.mat"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        io.savemat(path, content)
    with pytest.raises(DataError, match=problem) as caught:
        read_filters({"AW.mat": path})
    assert caught.value.where == str(path)


def test_a_truncated_file_is_named(tmp_path, files):
    path = tmp_path / "AW.mat"
    path.write_bytes(files["AW.mat"].read_bytes()[:-5000])
    with pytest.raises(DataError, match=r"damaged|no matrix W"):
        read_filters({"AW.mat": path})


@pytest.mark.data
def test_real_filters_are_the_inverse_of_their_basis(mirror):
    path = mirror / "baselines" / "AW.mat"
    basis = io.loadmat(path)["A"]
    np.testing.assert_allclose(read_filters({"AW.mat": path}) @ basis, np.eye(192), atol=1e-10)


@pytest.mark.data
def test_real_filters_find_the_odd_patch(mirror):
    # A field of equal vertical bars with one slanted patch, as in the paper's figures.
    image = np.full((240, 360), 60, np.uint8)
    for y in range(20, 240, 40):
        for x in range(20, 360, 40):
            slant = 8 if (y, x) == (100, 260) else 0
            cv2.line(image, (x - slant, y - 12), (x + slant, y + 12), 220, 4)
    files = {"AW.mat": mirror / "baselines" / "AW.mat"}
    ((_, found),) = Icl(IclOptions(), files).maps([Frame(0, 0.0, cv2.merge([image] * 3), True)])
    y, x = np.unravel_index(found.argmax(), found.shape)
    assert abs(y - 100) < 20
    assert abs(x - 260) < 20
