"""Files of maps: what is written is read, and what is no such file is refused."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynsal.errors import DataError
from dynsal.maps import MapFile, write_maps


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 5), st.integers(1, 9), st.integers(1, 9), st.integers(0, 100))
def test_round_trip(tmp_path_factory, count, height, width, first):
    path = tmp_path_factory.mktemp("maps") / "x.h5"
    rng = np.random.default_rng(count)
    maps = {first + 3 * i: rng.random((height, width)).astype(np.float32) for i in range(count)}
    assert write_maps(path, maps.items(), model="gbvs") == count
    file = MapFile(path)
    assert file.size == (width, height)
    assert file.attrs["model"] == "gbvs"
    assert [frame for frame, _ in file] == list(maps)
    for frame, saliency in file:
        np.testing.assert_array_equal(saliency, maps[frame])
    file.close()


def test_the_documented_layout(tmp_path):
    """What other programs rely on."""
    write_maps(tmp_path / "x.h5", [(2, np.ones((3, 4))), (5, np.zeros((3, 4)))])
    with h5py.File(tmp_path / "x.h5") as handle:
        assert handle["saliency"].shape == (2, 3, 4)
        assert handle["saliency"].dtype == np.float32
        assert handle["frame"][()].tolist() == [2, 5]


def test_nothing_half_written_stays(tmp_path):
    def broken():
        yield 0, np.ones((2, 2))
        raise DataError("video.mp4", "is damaged", "Fetch it again")

    with pytest.raises(DataError, match="is damaged"):
        write_maps(tmp_path / "x.h5", broken())
    with pytest.raises(DataError, match="no map to write"):
        write_maps(tmp_path / "x.h5", [])
    with pytest.raises(ValueError, match=r"map of frame 1 is \(2, 3\)"):
        write_maps(tmp_path / "x.h5", [(0, np.ones((2, 2))), (1, np.ones((2, 3)))])
    with pytest.raises(ValueError, match="frame 0 came after frame 0"):
        write_maps(tmp_path / "x.h5", [(0, np.ones((2, 2))), (0, np.ones((2, 2)))])
    assert list(tmp_path.iterdir()) == []


def wrong_file(path, kind):
    if kind == "text":
        path.write_text("frame,x,y\n")
        return
    with h5py.File(path, "w") as handle:
        handle["frame"] = np.array([1, 0] if kind == "order" else [0, 1], np.int32)
        if kind != "lacks":
            handle["saliency"] = np.ones((3 if kind == "count" else 2, 2, 2), np.float32)
        if kind in ("negative", "nan"):
            handle["saliency"][1, 0, 0] = -1 if kind == "negative" else np.nan


@pytest.mark.parametrize(
    ("kind", "problem"),
    [
        ("absent", "cannot be read"),
        ("text", "cannot be read"),
        ("lacks", "is no file of maps"),
        ("count", "is no file of maps"),
        ("order", "do not rise"),
        ("negative", "map of frame 1 has values that are negative or not finite"),
        ("nan", "map of frame 1 has values that are negative or not finite"),
    ],
)
def test_wrong_files_are_refused(tmp_path, kind, problem):
    path = tmp_path / "maps.h5"
    if kind != "absent":
        wrong_file(path, kind)
    with pytest.raises(DataError, match=rf"maps\.h5.*{problem}"):
        list(MapFile(path))
