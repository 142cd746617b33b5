"""DIEM as preprocessed for STAViS: packed frames and fixation maps, at the depth that their authors chose."""

from __future__ import annotations

import hashlib
import io
import json
import random

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from releases import tar_gz
from scipy.io import savemat

from dynsal import layout
from dynsal.config import ConfigError, DatasetConfig, parse
from dynsal.datasets import open_dataset
from dynsal.datasets.diem_stavis import DiemStavis
from dynsal.errors import DataError
from dynsal.gaze import to_working
from dynsal.layout import RegistryRow
from dynsal.stavis_release import ANNOTATIONS, FRAMES, fetch_stavis
from dynsal.workflow import Plan

VIDEO = "toy_640x480"
OTHER = "more_1280x720"
CONFIG = DatasetConfig(name="diem", source="stavis", split="stavis17")


def jpeg(shade: int, size=(320, 240)) -> bytes:
    return cv2.imencode(".jpg", np.full((size[1], size[0], 3), shade, np.uint8))[1].tobytes()


def mat(points, size=(320, 240), key="eyeMap", kind=np.uint8) -> bytes:
    """Return a MATLAB file with a binary map of points x, y."""
    found = np.zeros((size[1], size[0]), kind)
    for x, y in points:
        found[y, x] = 1
    stream = io.BytesIO()
    savemat(stream, {key: found}, do_compression=True)
    return stream.getvalue()


def release(tmp_path, monkeypatch, frames, maps):
    """Put both archives into a mirror, and register them; return the folder of the data set."""
    rows = {}
    for file, files in ((FRAMES, frames), (ANNOTATIONS, maps)):
        archive = tar_gz(tmp_path / "mirror/diem" / file, files)
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        rows[file] = RegistryRow(file, archive.stat().st_size, digest, (), "free")
    monkeypatch.setattr(layout, "registry_row", lambda _, file: rows[file])
    monkeypatch.delenv("DYNSAL_MIRROR", raising=False)
    return tmp_path / "results/raw"


def numbered(pattern, contents, top="video_frames/DIEM/", video=VIDEO, order=0):
    """Return the files of a video, as a folder lists them: in no order."""
    files = [(f"{top}{video}/{pattern.format(n)}", data) for n, data in enumerate(contents, 1)]
    random.Random(order).shuffle(files)
    return dict(files)


SHADES = [20, 60, 100, 140]
POINTS = [[(0, 0), (319, 239)], [(100, 50)], [], [(7, 200), (8, 200), (9, 201)]]


@pytest.mark.parametrize("deep", ["", "a b/DIEM/"])
@pytest.mark.parametrize("maps", ["fixMap_{:05d}.mat", "maps/fixMap_{:05d}.mat"])
def test_frames_and_points(tmp_path, monkeypatch, deep, maps):
    """Frames in order whatever their order in the archive; points in pixels of the native size, one per pixel."""
    frames = numbered("img_{:05d}.jpg", map(jpeg, SHADES), deep)
    fixations = numbered(maps, map(mat, POINTS), deep) | numbered(
        "maps/eyeMap_{:05d}.jpg", map(jpeg, SHADES), deep
    )
    root = release(tmp_path, monkeypatch, frames, fixations)
    assert fetch_stavis([VIDEO], root, [tmp_path / "mirror"]) == [root / "stavis" / f"{VIDEO}.json"]
    dataset = open_dataset(CONFIG, root)
    assert type(dataset) is DiemStavis
    dataset.verify(VIDEO)
    info = dataset.info(VIDEO)
    assert (info.width, info.height, info.fps, info.container_frames) == (640, 480, 30, 4)
    decoded = list(dataset.open_frames(VIDEO, lambda index: index != 1))
    assert [round(30 * time) for time, _ in decoded] == [0, 1, 2, 3]
    assert decoded[1][1] is None
    assert [round(decoded[i][1].mean()) for i in (0, 2, 3)] == [20, 100, 140]
    gaze = dataset.fixations(VIDEO)
    assert (gaze.n_frames, gaze.source_size) == (4, (640, 480))
    assert gaze.table["frame"].tolist() == [0, 0, 1, 3, 3, 3]
    assert set(gaze.table["subject"]) == {"all"}
    expected = [
        (2 * x + 0.5, 2 * y + 0.5) for points in POINTS for x, y in sorted(points, key=lambda p: p[::-1])
    ]
    assert gaze.table[["x", "y"]].to_numpy().tolist() == [list(point) for point in expected]
    assert gaze.dropped == {"no_map": 0, "after_video_end": 0}


@settings(max_examples=20, deadline=None)
@given(
    points=st.sets(st.tuples(st.integers(0, 319), st.integers(0, 239)), min_size=1, max_size=9),
    kind=st.sampled_from([np.uint8, np.float64, np.bool_]),
)
def test_points_are_scaled_once_however_many_steps(tmp_path_factory, points, kind):
    """From the frames' size by way of the native one to the working size, as straight from one to the other."""
    folder = tmp_path_factory.mktemp("points")
    with pytest.MonkeyPatch.context() as patched:
        root = release(
            folder,
            patched,
            numbered("img_{:05d}.jpg", [jpeg(1)]),
            numbered("fixMap_{:05d}.mat", [mat(points, kind=kind)]),
        )
        fetch_stavis([VIDEO], root, [folder / "mirror"])
    table = open_dataset(CONFIG, root).fixations(VIDEO).table
    found = to_working(table, (640, 480), (64, 40))[["x", "y"]].to_numpy()
    straight = (np.array(sorted(points, key=lambda p: p[::-1])) + 0.5) * (64 / 320, 40 / 240) - 0.5
    np.testing.assert_allclose(found, straight, atol=1e-9)


def test_a_map_that_is_missing_is_counted(tmp_path, monkeypatch):
    maps = numbered("fixMap_{:05d}.mat", map(mat, POINTS))
    del maps[f"video_frames/DIEM/{VIDEO}/fixMap_00002.mat"]
    root = release(tmp_path, monkeypatch, numbered("img_{:05d}.jpg", map(jpeg, SHADES)), maps)
    fetch_stavis([VIDEO], root, [tmp_path / "mirror"])
    gaze = open_dataset(CONFIG, root).fixations(VIDEO)
    assert gaze.dropped["no_map"] == 1
    assert gaze.table["frame"].unique().tolist() == [0, 3]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (mat([(1, 1)], (320, 241)), r"fixMap_00002\.mat of toy_640x480: is 320x241, its frame 320x240"),
        (mat([(1, 1)], key="map"), "has no variable eyeMap"),
        (b"MATLAB 5.0 MAT-file" + bytes(200), "cannot be read as a MATLAB file"),
        (b"", "cannot be read as a MATLAB file"),
    ],
)
def test_bad_maps(tmp_path, monkeypatch, data, problem):
    maps = [mat([(5, 5)]), data]
    root = release(
        tmp_path,
        monkeypatch,
        numbered("img_{:05d}.jpg", map(jpeg, SHADES)),
        numbered("fixMap_{:05d}.mat", maps),
    )
    fetch_stavis([VIDEO], root, [tmp_path / "mirror"])
    with pytest.raises(DataError, match=problem):
        open_dataset(CONFIG, root).fixations(VIDEO)


def test_a_map_of_shades_is_no_map_of_points(tmp_path, monkeypatch):
    stream = io.BytesIO()
    savemat(stream, {"eyeMap": np.full((240, 320), 0.5)})
    root = release(
        tmp_path,
        monkeypatch,
        numbered("img_{:05d}.jpg", map(jpeg, SHADES)),
        numbered("fixMap_{:05d}.mat", [stream.getvalue()]),
    )
    fetch_stavis([VIDEO], root, [tmp_path / "mirror"])
    with pytest.raises(DataError, match="is no binary map"):
        open_dataset(CONFIG, root).fixations(VIDEO)


@pytest.mark.parametrize(
    ("contents", "problem"),
    [
        ([jpeg(1), b"no picture"], r"img_00002\.jpg of toy_640x480: is no picture"),
        ([jpeg(1), jpeg(1, (320, 200))], r"img_00002\.jpg of toy_640x480: differs in size"),
    ],
)
def test_bad_frames(tmp_path, monkeypatch, contents, problem):
    root = release(
        tmp_path,
        monkeypatch,
        numbered("img_{:05d}.jpg", contents),
        numbered("fixMap_{:05d}.mat", map(mat, POINTS)),
    )
    fetch_stavis([VIDEO], root, [tmp_path / "mirror"])
    with pytest.raises(DataError, match=problem):
        list(open_dataset(CONFIG, root).open_frames(VIDEO))


def test_what_is_missing_is_told_with_what_is_there(tmp_path, monkeypatch):
    frames = numbered("img_{:05d}.jpg", map(jpeg, SHADES))
    maps = numbered("fixMap_{:05d}.mat", map(mat, POINTS))
    root = release(tmp_path, monkeypatch, frames, maps)
    with pytest.raises(
        DataError,
        match=rf"holds no <VIDEO>/img_00001\.jpg of {OTHER}; among its 4 files are video_frames/DIEM/{VIDEO}/img_.*stavis17",
    ):
        fetch_stavis([VIDEO, OTHER], root, [tmp_path / "mirror"])
    gap = {name: data for name, data in frames.items() if "00003" not in name}
    (tmp_path / "gap").mkdir()
    root = release(tmp_path / "gap", monkeypatch, gap, maps)
    with pytest.raises(DataError, match=rf"lacks img_00003\.jpg of {VIDEO}"):
        fetch_stavis([VIDEO], root, [tmp_path / "gap/mirror"])


def test_frames_extracted_at_another_rate(tmp_path, monkeypatch):
    video = "music_gummybear_880x720"
    frames = numbered("img_{:05d}.jpg", [jpeg(9)] * 740, video=video)
    root = release(tmp_path, monkeypatch, frames, numbered("fixMap_{:05d}.mat", [mat([(1, 1)])], video=video))
    fetch_stavis([video], root, [tmp_path / "mirror"])
    with pytest.raises(
        DataError, match=r"has 740 frames of music_gummybear_880x720, but DIEM's video has 888.*original"
    ):
        open_dataset(CONFIG, root).open_frames(video)


def test_another_archive_than_the_indexed_one(tmp_path, monkeypatch):
    """It would give wrong bytes at the listed places."""
    root = release(
        tmp_path,
        monkeypatch,
        numbered("img_{:05d}.jpg", map(jpeg, SHADES)),
        numbered("fixMap_{:05d}.mat", map(mat, POINTS)),
    )
    fetch_stavis([VIDEO], root, [tmp_path / "mirror"])
    tar_gz(tmp_path / "mirror/diem" / FRAMES, numbered("img_{:05d}.jpg", map(jpeg, [1, 2])))
    with pytest.raises(DataError, match=r"DIEM_frames\.tar\.gz: is missing, or not the one that was indexed"):
        open_dataset(CONFIG, root).verify(VIDEO)
    listed = json.loads((root / "stavis" / f"{VIDEO}.json").read_text())
    assert sorted(listed["frames"]["places"]) == ["1", "2", "3", "4"]


def test_the_plan_has_no_human_row():
    """Maps do not say who looked; and three of the paper's test videos are not in this form."""
    plan = Plan(parse({"dataset": {"name": "diem", "source": "stavis", "split": "stavis17"}}))
    assert plan.floors == ["centre", "uniform", "mean_map"]
    video = plan.test[0]
    assert plan.raw_video(video) == plan.raw_gaze(video) == [f"results/diem/raw/stavis/{video}.json"]
    with pytest.raises(ConfigError, match="lacks ami_ib4010_closeup_720x576; use split stavis17") as caught:
        Plan(parse({"dataset": {"name": "diem", "source": "stavis", "split": "borji20"}}))
    assert len(str(caught.value).splitlines()) == 3
    with pytest.raises(ConfigError, match="stavis is a form of diem, not of hevc33"):
        parse({"dataset": {"name": "hevc33", "source": "stavis"}})
