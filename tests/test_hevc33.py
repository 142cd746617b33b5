"""The hevc33 reader, on the original data base and clips, and on small ones made to break it."""

from __future__ import annotations

import math
import shutil

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynsal import layout
from dynsal.config import DatasetConfig
from dynsal.datasets import open_dataset
from dynsal.datasets.hevc33 import Hevc33, read_database
from dynsal.errors import DataError
from dynsal.fixations import frame_range
from dynsal.gaze import fixation_counts, to_working
from dynsal.video import encode

CONFIG = DatasetConfig(name="hevc33", split="hevc33")


@pytest.fixture(scope="module")
def real(mirror) -> Hevc33:
    """Return the data set, read straight from the mirror folder, which has the same layout."""
    dataset = open_dataset(CONFIG, mirror / "hevc33")
    assert isinstance(dataset, Hevc33)
    return dataset


@pytest.fixture(scope="module")
def gazes(real):
    """Return every clip's gaze."""
    return {video: real.fixations(video) for video in real.database.clips}


@pytest.mark.data
def test_database(real):
    """33 clips in the data base's own order, 26,914 fixations of which one names no video."""
    database = real.database
    assert len(database.fixations) + database.without_video == 26_914
    assert database.without_video == 1
    assert list(database.clips)[:3] == ["Kimono", "ParkScene", "Cactus"]
    assert set(database.clips) == set(real.videos()) == set(layout.split("hevc33"))
    assert sum(clip.frames for clip in database.clips.values()) == 13_020
    china, kimono = database.clips["ChinaSpeed"], database.clips["Kimono"]
    assert (china.size, china.frames, china.fps) == ((1024, 768), 500, 30.0)  # duration_s says 16 s: not used
    assert (kimono.number, kimono.size, kimono.frames, kimono.fps) == (1, (1920, 1080), 240, 24.0)
    assert database.clips["BQTerrace"].frames == 600


@pytest.mark.data
@pytest.mark.parametrize(
    ("video", "count"), [("Kimono", 794), ("Lee", 623), ("SlideShow", 2602), ("PeopleOnStreet", 388)]
)
def test_fixations_per_clip(real, video, count):
    """The counts of protocol 4.4."""
    assert (real.database.fixations[:, 1] == real.database.clips[video].number).sum() == count


@pytest.mark.data
def test_points_per_frame(gazes):
    """About 30 points per frame, never fewer than 16, no frame empty, all 32 viewers, all inside."""
    counts = [np.bincount(gaze.table["frame"], minlength=gaze.n_frames) for gaze in gazes.values()]
    everything = np.concatenate(counts)
    assert len(everything) == 13_020
    assert everything.min() == 16
    assert everything.mean() == pytest.approx(30.12, abs=0.01)
    viewers = set().union(*(gaze.table["subject"] for gaze in gazes.values()))
    assert viewers == {str(number) for number in range(1, 33)}  # numbers, no initials
    for gaze in gazes.values():
        working = to_working(gaze.table, gaze.source_size, (640, 480))
        assert fixation_counts(working[["x", "y"]].to_numpy(), (640, 480)).sum() == len(gaze.table)
        assert gaze.dropped["outside_frame"] == 0


@pytest.mark.data
def test_gaze_that_outlasts_the_video(gazes):
    """136 fixations of Lee and one of Tennis start after the end; the NaN row is counted."""
    late = {video: gaze.dropped["starts_after_end"] for video, gaze in gazes.items()}
    assert {video: count for video, count in late.items() if count} == {"Lee": 136, "Tennis": 1}
    assert gazes["Lee"].table["frame"].max() == 149
    assert all(gaze.dropped["without_video"] == 1 for gaze in gazes.values())
    assert gazes["BQTerrace"].n_frames == 600


@pytest.mark.data
def test_fixations_equal_the_authors_loop(real, gazes):
    """The vectorised expansion gives what a literal loop over fixations and frames gives."""
    for video in ("Lee", "RaceHorsesD", "BQSquare"):
        clip = real.database.clips[video]
        expected = []
        for subject, number, start, duration, x, y in real.database.fixations:
            if number == clip.number:
                dt = 1000 / clip.fps
                covered = range(math.ceil(start / dt), math.ceil((start + duration) / dt) + 1)
                expected += [
                    (frame - 1, str(int(subject)), x - 0.5, y - 0.5)
                    for frame in covered
                    if 1 <= frame <= clip.frames
                ]
        table = gazes[video].table
        found = list(zip(table["frame"], table["subject"], table["x"], table["y"], strict=True))
        assert sorted(found) == sorted(expected)
        assert table["frame"].is_monotonic_increasing


@pytest.mark.data
def test_frames_of_a_small_clip(real):
    frames = [frame.shape for _, frame in real.open_frames("RaceHorsesD")]
    assert frames == [(240, 416, 3)] * 300


@pytest.mark.data
def test_the_file_with_a_space(real):
    """The data base says BasketballDrive, the file is called Basketball Drive."""
    assert real.video_file("BasketballDrive").name == "Basketball Drive.avi"
    assert real.video_file("BasketballDrive").is_file()
    time, frame = next(real.open_frames("BasketballDrive"))
    assert (time, frame.shape) == (0.0, (1080, 1920, 3))


@pytest.mark.data
@pytest.mark.slow
def test_all_clips_decode_to_the_listed_frames(real):
    """13,020 frames over all clips; BQTerrace has 601 of which 600 are used."""
    assert sum(sum(1 for _ in real.open_frames(video)) for video in real.database.clips) == 13_020


@pytest.mark.data
def test_truncated_real_clip(real, tmp_path):
    """A cut file is an error even when only the listed frames are wanted."""
    shutil.copyfile(real.root / "video_database.mat", tmp_path / "video_database.mat")
    (tmp_path / "videos").mkdir()
    whole = real.video_file("RaceHorsesD").read_bytes()
    copy = Hevc33(tmp_path, CONFIG)
    for data, problem in [(whole[: len(whole) // 2], "cut short|frame"), (b"", "empty")]:
        copy.video_file("RaceHorsesD").write_bytes(data)
        with pytest.raises(DataError, match=rf"RaceHorsesD\.avi: .*({problem})"):
            list(copy.open_frames("RaceHorsesD"))


# ---- small data bases -----------------------------------------------------------------------------------------------


def write_database(path, rows, clips=(("One", 64, 48, 10, 25.0),)):
    """Write a data base of the original's structure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        group = file.create_group("video_database")
        names = np.empty((1, len(clips)), dtype=h5py.ref_dtype)
        for number, clip in enumerate(clips):
            text = file.create_dataset(
                f"#refs#/{number}", data=np.array([[ord(c)] for c in clip[0]], np.uint16)
            )
            names[0, number] = text.ref
        group.create_dataset("video_names_list", data=names, dtype=h5py.ref_dtype)
        group["fixdata"] = np.array(rows, float).T
        group["videos_info/size"] = np.array([clip[1:3] for clip in clips], float).T
        group["videos_info/frames"] = np.array([[clip[3] for clip in clips]], float)
        group["videos_info/framerate_fps"] = np.array([[clip[4] for clip in clips]], float)
    return Hevc33(path.parent, CONFIG)


FIX = [3, 1, 40, 80, 5, 6]


@given(
    start=st.integers(0, 9000),
    duration=st.integers(60, 6500),
    fps=st.sampled_from([20.0, 24.0, 25.0, 30.0, 50.0, 60.0]),
    frames=st.sampled_from([150, 240, 300]),
)
def test_frame_range_is_the_authors_rule(start, duration, fps, frames):
    """In whole numbers: frame f, from 1, is covered iff start*fps <= 1000 f and 1000 (f - 1) < end*fps."""
    ((first,), (last,)) = frame_range(np.array([float(start)]), np.array([float(duration)]), fps, frames)
    rate = int(fps)
    expected = [
        frame - 1
        for frame in range(1, frames + 1)
        if max(1, -(-start * rate // 1000)) <= frame <= -(-(start + duration) * rate // 1000)
    ]
    assert list(range(first, last + 1)) == expected


def test_start_zero_is_the_first_frame():
    first, last = frame_range(np.array([0.0]), np.array([40.0]), 25.0, 10)
    assert (first[0], last[0]) == (0, 0)


def test_known_fixations_come_back(tmp_path):
    """Pixels as recorded; NaN row, late start and outside each counted; long durations clipped."""
    rows = [
        FIX,
        [4, 1, 0, 9999, 0, 47],
        [5, np.nan, 0, 100, 1, 1],
        [6, 1, 401, 60, 5, 5],
        [7, 1, 0, 60, 64, 5],
    ]
    gaze = write_database(tmp_path / "video_database.mat", rows).fixations("One")
    assert gaze.dropped == {
        "without_video": 1,
        "starts_after_end": 1,
        "outside_frame": 1,
        "after_video_end": 0,
    }
    assert (gaze.n_frames, gaze.source_size) == (10, (64, 48))
    third = gaze.table[gaze.table["subject"] == "3"]
    assert third["frame"].tolist() == [0, 1, 2]  # 40 ms = frame 1, 120 ms = frame 3, from 1
    assert np.floor(third[["x", "y"]] + 0.5).drop_duplicates().values.tolist() == [[5, 6]]
    assert gaze.table.loc[gaze.table["subject"] == "4", "frame"].tolist() == list(range(10))


def test_no_valid_fixation(tmp_path):
    dataset = write_database(tmp_path / "video_database.mat", [[1, 1, 5000, 60, 5, 5]])
    with pytest.raises(DataError, match=r"\(One\): no valid fixation at all .*starts_after_end 1"):
        dataset.fixations("One")
    with pytest.raises(DataError, match="has no video Two"):
        dataset.fixations("Two")


@pytest.mark.parametrize(
    "row", [[1, 2, 0, 60, 5, 5], [1, 1.5, 0, 60, 5, 5], [1, 1, np.nan, 60, 5, 5], [1, 1, 0, 60, np.inf, 5]]
)
def test_a_bad_row_is_named(tmp_path, row):
    with pytest.raises(DataError, match=r"video_database\.mat: row 2 of fixdata is"):
        write_database(tmp_path / "video_database.mat", [FIX, row]).fixations("One")


def test_missing_damaged_or_foreign_database(tmp_path):
    path = tmp_path / "video_database.mat"
    with pytest.raises(DataError, match="there is no such data base"):
        read_database(path)
    write_database(path, [FIX])
    whole = path.read_bytes()
    for data in (b"", b"MATLAB 5.0 MAT-file", whole[: len(whole) // 2]):
        path.write_bytes(data)
        with pytest.raises(DataError, match="cannot be read as the hevc33 data base"):
            read_database(path)
    path.unlink()
    with h5py.File(path, "w") as file:
        file["else"] = 1
    with pytest.raises(DataError, match="cannot be read as the hevc33 data base"):
        read_database(path)
    path.unlink()
    write_database(path, [[1, 1, 0, 60, 5]])
    with pytest.raises(DataError, match="do not fit together"):
        read_database(path)


@pytest.mark.parametrize(
    ("count", "size", "problem"),
    [
        (10, (64, 48), None),
        (11, (64, 48), None),
        (9, (64, 48), "has 9 frames, but the data base says 10"),
        (12, (64, 48), "has 12 frames, but the data base says 10"),
        (10, (48, 64), "is 48x64, but the data base says 64x48"),
    ],
)
def test_frame_count_and_size(tmp_path, count, size, problem):
    """One frame too many is cut (BQTerrace); fewer, or more, or another size, is another file."""
    dataset = write_database(tmp_path / "video_database.mat", [FIX])
    encode(
        dataset.video_file("One"), [np.full((size[1], size[0], 3), 9 * i, np.uint8) for i in range(count)], 25
    )
    if problem is None:
        assert len(list(dataset.open_frames("One"))) == 10
    else:
        with pytest.raises(DataError, match=problem):
            list(dataset.open_frames("One"))
