"""The DIEM reader, on 100 real event files and on small ones made to break it."""

from __future__ import annotations

import itertools
import os
import shutil
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynsal.config import DatasetConfig
from dynsal.datasets import dataset_class, diem, open_dataset
from dynsal.datasets.diem import Diem, fixation_points, native_size, read_events, recordings, subject_ids
from dynsal.errors import DataError
from dynsal.gaze import clip_to_video, fixation_counts, to_working
from dynsal.video import encode

BROOKLYN = "50_people_brooklyn_1280x720"
VIDEO = "toy_640x480"
OFFSET = (320, 240)
INSIDE = (640.0, 480.0)  # screen position of the middle of any movie


def row(frame, left=INSIDE, event=1, right=None, right_event=1, pupil=1500.0) -> str:
    right = left if right is None else right
    cells = [frame, *left, pupil, event, *right, pupil, right_event]
    return "\t".join(str(cell) for cell in cells)


def write(root: Path, rows, name="diem2s1.asc_4", video=VIDEO, end="\r\n") -> Path:
    path = root / video / "event_data" / f"{name}_{video}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(line + end for line in rows).encode())
    return path


def read(root, video=VIDEO, **keys):
    return Diem(root, DatasetConfig(name="diem", **keys)).fixations(video)


# ---- 100 real files -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def brooklyn(mirror, tmp_path_factory) -> Path:
    """Return a raw folder whose event files are the real ones."""
    root = tmp_path_factory.mktemp("diem")
    (root / BROOKLYN).mkdir()
    (root / BROOKLYN / "event_data").symlink_to(mirror / "diem" / "event_data" / BROOKLYN)
    return root


@pytest.fixture(scope="module")
def real_rows(brooklyn):
    """Return the 100 real files as recordings x frames x 9."""
    return np.stack(
        [read_events(found.path) for found in recordings(brooklyn / BROOKLYN / "event_data", BROOKLYN)]
    )


@pytest.mark.data
def test_real_names(brooklyn):
    """All 100 names are understood: trial number, padding, and the letter; experiments 2, 3, 4."""
    found = recordings(brooklyn / BROOKLYN / "event_data", BROOKLYN)
    assert len(found) == len(os.listdir(brooklyn / BROOKLYN / "event_data")) == 100
    assert Counter(recording.experiment for recording in found) == {2: 31, 3: 50, 4: 19}
    ids = subject_ids(found)
    assert len(set(ids)) == 100
    assert {"2-1", "3-01", "4-04b"} <= set(ids)
    assert next(recording.trial for recording in found if recording.subject == "04b") == 12


@pytest.mark.data
def test_real_rows_and_events(real_rows):
    """Protocol 3.3: 3667 rows in every file, the event pairs, the range of coordinates."""
    assert real_rows.shape == (100, 3667, 9)
    pairs = Counter(zip(real_rows[..., 4].ravel(), real_rows[..., 8].ravel(), strict=True))
    percent = {pair: 100 * count / 366_700 for pair, count in pairs.items()}
    assert percent.pop((-1, -1)) == pytest.approx(0.07, abs=0.005)
    expected = {(1, 1): 83.1, (2, 1): 10.4, (0, 0): 3.9, (0, 1): 1.3, (1, 0): 0.9, (2, 0): 0.2}
    assert percent == pytest.approx(expected, abs=0.05)
    assert not (real_rows[..., 8] == 2).any()  # saccades are flagged in the left column only
    coordinates = real_rows[..., [1, 2, 5, 6]]
    assert (coordinates.min(), coordinates.max()) == (-3270, 3270)
    blinks = real_rows[real_rows[..., 4] == 0]
    assert (blinks[:, 1] != 0).mean() == pytest.approx(0.24, abs=0.005)  # so x == 0 is no filter
    assert (real_rows[:, 73, 4] == -1).sum() == 96  # frame 74 was dropped in nearly all recordings


@pytest.mark.data
def test_real_fixations(brooklyn):
    """Both eyes, all experiments: 82.9 points per frame, 99.7 % inside, none of them clamped."""
    start = time.perf_counter()
    gaze = read(brooklyn, BROOKLYN)
    assert time.perf_counter() - start < 10
    assert gaze.n_frames == 3667
    assert gaze.source_size == (1280, 720)
    assert len(gaze.table) / 3667 == pytest.approx(82.9, abs=0.05)
    kept, outside = len(gaze.table), gaze.dropped["outside_frame"]
    assert kept / (kept + outside) == pytest.approx(0.997, abs=0.0005)
    assert outside > 0
    assert kept + sum(gaze.dropped.values()) == 366_700  # every row is accounted for
    per_recording = gaze.table.groupby("subject").size() / 3667
    assert len(per_recording) == 100
    assert per_recording.min() == pytest.approx(0.17, abs=0.005)
    assert per_recording.median() == pytest.approx(0.85, abs=0.005)
    assert (gaze.table["frame"] == 73).sum() == 3
    xy = gaze.table[["x", "y"]].to_numpy()
    assert (xy >= -0.5).all()
    assert (xy < (1279.5, 719.5)).all()
    assert (np.minimum(xy + 0.5, (1280, 720) - (xy + 0.5)) == 0).mean() < 1e-4  # nothing heaped at the border
    working = to_working(gaze.table, (1280, 720), (640, 480))
    assert fixation_counts(working[["x", "y"]].to_numpy(), (640, 480)).sum() == kept


@pytest.mark.data
def test_real_fixations_equal_a_plain_loop(brooklyn):
    """The vectorised reader gives what a slow, literal reading of protocol 3.2 to 3.4 gives."""
    gaze = read(brooklyn, BROOKLYN)
    found = set(
        zip(gaze.table["frame"], gaze.table["subject"], gaze.table["x"], gaze.table["y"], strict=True)
    )
    for name, subject in [("diem2s1.asc_4", "2-1"), ("diem4s04b.asc_12", "4-04b")]:
        text = (brooklyn / BROOKLYN / "event_data" / f"{name}_{BROOKLYN}.txt").read_text()
        expected = set()
        for line in text.splitlines():
            frame, lx, ly, _, le, rx, ry, _, re = line.split("\t")
            if (le, re) == ("1", "1"):
                x = (float(lx) + float(rx)) / 2 - (1280 - 1280) / 2
                y = (float(ly) + float(ry)) / 2 - (960 - 720) / 2
                if 0 <= x < 1280 and 0 <= y < 720:
                    expected.add((int(frame) - 1, subject, x - 0.5, y - 0.5))
        assert {point for point in found if point[1] == subject} == expected
        assert len(expected) > 1000


@pytest.mark.data
def test_real_experiments_and_eyes(brooklyn):
    """The last experiment alone: 16.1 points per frame, one frame with none. Either eye keeps more."""
    everything, latest = read(brooklyn, BROOKLYN), read(brooklyn, BROOKLYN, experiments="latest")
    assert len(latest.table) / 3667 == pytest.approx(16.1, abs=0.05)
    assert latest.table["frame"].nunique() == 3666
    assert latest.dropped["other_experiment"] == 81 * 3667
    parts = [read(brooklyn, BROOKLYN, experiments=[number]) for number in (2, 3, 4)]
    assert sum(len(part.table) for part in parts) == len(everything.table)
    pd.testing.assert_frame_equal(parts[2].table, latest.table)
    either = read(brooklyn, BROOKLYN, eyes="either")
    assert either.dropped["no_fixation"] == 15_280  # the rows of (0, 0), (2, 0) and (-1, -1)
    assert len(either.table) > len(everything.table)
    with pytest.raises(DataError, match=r"no recording of experiments \[7\]; there are \[2, 3, 4\]"):
        read(brooklyn, BROOKLYN, experiments=[7])


@pytest.mark.data
def test_real_gaze_ends_before_the_video(brooklyn, caplog):
    """3667 rows for 3669 frames: the shorter counts, without a warning; a short copy warns and is counted."""
    gaze = read(brooklyn, BROOKLYN)
    assert clip_to_video(gaze, 3669).n_frames == 3667
    assert not caplog.records
    cut = clip_to_video(gaze, 3600)
    assert "3667 frames, the video has 3600" in caplog.text
    assert cut.table["frame"].max() == 3599
    assert cut.dropped["after_video_end"] == (gaze.table["frame"] >= 3600).sum() > 0


@pytest.mark.data
@pytest.mark.parametrize("cut", [0, 1, 1000, 40_001])
def test_real_file_cut_short(brooklyn, tmp_path, cut):
    """A truncated copy of a real file is refused, whether cut within a row, at its end, or to nothing."""
    folder = tmp_path / BROOKLYN / "event_data"
    shutil.copytree(brooklyn / BROOKLYN / "event_data", folder)
    path = folder / f"diem3s01.asc_7_{BROOKLYN}.txt"
    path = path if path.exists() else sorted(folder.glob("diem3s01*"))[0]
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-cut] if cut else b"")
    with pytest.raises(DataError, match=rf"{path.name}.*(cut short|columns|empty|rows|no number)"):
        read(tmp_path, BROOKLYN)


# ---- small files ----------------------------------------------------------------------------------------------------


def test_registered_by_name(tmp_path):
    dataset = open_dataset(DatasetConfig(name="diem", split="borji20"), tmp_path)
    assert type(dataset) is dataset_class("diem") is Diem
    assert (dataset.name, dataset.px_per_deg) == ("diem", 50.0)
    assert len(dataset.videos()) == 84
    assert dataset.video_file("a_2x2") == tmp_path / "a_2x2" / "video" / "a_2x2.mp4"


@settings(max_examples=30, deadline=None)
@given(
    points=st.lists(
        st.tuples(st.integers(0, 6399), st.integers(0, 4799)).map(lambda p: (p[0] / 10, p[1] / 10)),
        min_size=1,
        max_size=8,
    )
)
def test_known_points_come_back(tmp_path_factory, points):
    """A file written from known positions in the movie gives back exactly their pixels, frame by frame."""
    root = tmp_path_factory.mktemp("known")
    write(
        root,
        [row(i, (round(x + OFFSET[0], 1), round(y + OFFSET[1], 1))) for i, (x, y) in enumerate(points, 1)],
    )
    gaze = read(root)
    assert gaze.table["frame"].tolist() == list(range(len(points)))
    found = np.floor(gaze.table[["x", "y"]].to_numpy() + 0.5)
    near = np.floor(np.array(points) + 1e-9)
    np.testing.assert_array_equal(found, near)
    np.testing.assert_allclose(gaze.table[["x", "y"]], np.array(points) - 0.5, atol=1e-9)


def test_events_decide_never_zeros(tmp_path):
    """Blinks with coordinates are dropped; a fixation whose left x is 0 on the screen is only outside the frame."""
    rows = [
        row(1, INSIDE, 0, INSIDE, 0),
        row(2, (0, 0), -1, (0, 0), -1),
        row(3, INSIDE, 2, INSIDE, 1),
        row(4, (600.0, 400.0), 1, (620.0, 420.0), 1),
        row(5, (0, 480), 1, (0, 480), 1),
        row(6, INSIDE, 1, (0.0, 0.0), 0),
        row(7, (0.0, 0.0), 0, INSIDE, 1),
    ]
    write(tmp_path, rows)
    both = read(tmp_path)
    assert both.table.values.tolist() == [[3, "2-1", 610 - 320 - 0.5, 410 - 240 - 0.5]]
    assert both.dropped == {"other_experiment": 0, "no_fixation": 5, "outside_frame": 1, "after_video_end": 0}
    either = read(tmp_path, eyes="either")
    assert either.table["frame"].tolist() == [2, 3, 5, 6]
    assert either.table["x"].tolist() == [
        319.5,
        289.5,
        319.5,
        319.5,
    ]  # an eye without fixation is never averaged in
    assert either.dropped == {
        "other_experiment": 0,
        "no_fixation": 2,
        "outside_frame": 1,
        "after_video_end": 0,
    }


def test_fixation_points_ignores_the_other_eye_even_if_it_is_huge():
    rows = np.array([[1, 640, 480, 9, 1, -3270, 3270, 9, 0]], float)
    x, y, valid = fixation_points(rows, "either")
    assert (x[0], y[0], valid[0]) == (640, 480, True)
    assert not fixation_points(rows, "both")[2][0]


@pytest.mark.parametrize(
    ("x", "y", "kept"),
    [(320, 240, 1), (319.9, 300, 0), (959.9, 719.9, 1), (960, 300, 0), (400, 720, 0), (400, 239.9, 0)],
)
def test_outside_the_frame_is_dropped_not_clamped(tmp_path, x, y, kept):
    write(tmp_path, [row(1), row(2, (x, y))])
    gaze = read(tmp_path)
    assert len(gaze.table) == 1 + kept
    assert gaze.dropped["outside_frame"] == 1 - kept


def test_subjects_stay_apart(tmp_path):
    """One id per recording: experiment and subject; padding and letters kept; the trial only where needed."""
    for name in (
        "diem2s1.asc_4",
        "diem3s01.asc_4",
        "diem4s04.asc_4",
        "diem4s04b.asc_12",
        "diem4s7.asc_1",
        "diem4s7.asc_2",
    ):
        write(tmp_path, [row(1)], name)
    gaze = read(tmp_path)
    assert sorted(gaze.table["subject"]) == ["2-1", "3-01", "4-04", "4-04b", "4-7-1", "4-7-2"]


GOOD = [row(1), row(2), row(3), row(4)]


@pytest.mark.parametrize(
    ("line", "text", "problem"),
    [
        (3, row(3).replace("1500.0", "abc", 1), "column 4 is 'abc', no number"),
        (3, row(3).replace("1500.0", "", 1), "column 4 is '', no number"),
        (3, row(3).replace("1500.0", "nan", 1), "column 4 is 'nan', no number"),
        (2, row(2).replace("640.0", "inf", 1), "column 2 is 'inf', no number"),
        (2, row(2) + "\t1", "10 columns instead of 9"),
        (4, row(4).rsplit("\t", 1)[0], "8 columns instead of 9"),
        (2, "", "1 columns instead of 9"),
        (2, row(2).replace("\t", " "), "1 columns instead of 9"),
        (3, row(4), "frame 4 where 3 should follow"),
        (1, row(0), "frame 0 where 1 should follow"),
        (2, row(2, event=7), "column 5 is '7', no event"),
        (2, row(2, right_event=1.5), "column 9 is '1.5', no event"),
        (1, "1\t640.0\t480.0\t1500.0", "4 columns: this is the old form"),
        (2, row(2).replace("480.0", "4\r80.0", 1), "no number"),
    ],
)
def test_a_bad_row_is_named(tmp_path, line, text, problem):
    """File, line and what is wrong; with CRLF and with LF alike."""
    for end in ("\r\n", "\n"):
        rows = GOOD.copy()
        rows[line - 1] = text
        path = write(tmp_path, rows, end=end)
        with pytest.raises(DataError) as caught:
            read(tmp_path)
        assert str(caught.value).startswith(f"{path}:{line}: "), caught.value
        assert problem in str(caught.value)


def test_two_wrongs_do_not_make_a_right(tmp_path):
    """One cell too many and one too few leave the total of cells as it should be."""
    write(tmp_path, [row(1) + "\t1", row(2).rsplit("\t", 1)[0], row(3)])
    with pytest.raises(DataError, match=r"txt:1: 10 columns"):
        read(tmp_path)


def test_a_column_too_many_in_every_row(tmp_path):
    """No row differs from the others, and still it is not the known form."""
    write(tmp_path, [line + "\t1" for line in GOOD])
    with pytest.raises(DataError, match=r"txt:1: 10 columns instead of 9"):
        read(tmp_path)


def test_good_rows_with_either_line_end(tmp_path):
    for end in ("\r\n", "\n"):
        write(tmp_path, GOOD, end=end)
        assert len(read(tmp_path).table) == 4


def test_empty_or_cut_file(tmp_path):
    path = write(tmp_path, GOOD)
    data = path.read_bytes()
    path.write_bytes(b"")
    with pytest.raises(DataError, match=r"txt: the event file is empty"):
        read(tmp_path)
    path.write_bytes(data[:-20])
    with pytest.raises(DataError, match=r"txt:4: the last line has no end: the file is cut short"):
        read(tmp_path)


def test_wrong_frame_count(tmp_path):
    """A recording with fewer rows than the others is named with both numbers."""
    for name in ("diem2s1.asc_1", "diem2s2.asc_1"):
        write(tmp_path, GOOD, name)
    path = write(tmp_path, GOOD[:3], "diem2s3.asc_1")
    with pytest.raises(DataError, match=rf"{path.name}: has 3 rows, the other recordings 4"):
        read(tmp_path)


def test_missing_folder_no_files_strange_names(tmp_path):
    with pytest.raises(DataError, match=r"event_data: there is no such folder.*DIEM project page"):
        read(tmp_path)
    folder = tmp_path / VIDEO / "event_data"
    folder.mkdir(parents=True)
    (folder / ".hidden.txt").touch()
    (folder / "notes.md").touch()
    with pytest.raises(DataError, match="holds no event file"):
        read(tmp_path)
    strange = folder / f"diem2s1_{VIDEO}.txt"
    strange.touch()
    with pytest.raises(DataError, match="is not named like an event file"):
        read(tmp_path)
    strange.rename(folder / "diem2s1.asc_4_other_640x480.txt")
    with pytest.raises(DataError, match="is a recording of other_640x480, not of toy_640x480"):
        read(tmp_path)


def test_no_valid_fixation_at_all(tmp_path):
    write(tmp_path, [row(1, event=2), row(2, event=0, right_event=0), row(3, (0, 0))])
    with pytest.raises(
        DataError, match=rf"{VIDEO}.*no valid fixation at all .*no_fixation 2, outside_frame 1"
    ):
        read(tmp_path)


@pytest.mark.parametrize(("name", "problem"), [("toy", "does not end"), ("toy_1300x720", "does not fit")])
def test_a_name_without_a_usable_size(name, problem):
    with pytest.raises(DataError, match=problem):
        native_size(name)


def test_size_in_the_name_and_in_the_file(tmp_path):
    """Frames come where both agree; a re-encoded copy of another size stops with both sizes."""
    frames = [np.full((480, 640, 3), shade, np.uint8) for shade in (30, 90)]
    dataset = Diem(tmp_path, DatasetConfig(name="diem"))
    encode(dataset.video_file(VIDEO), frames, 30)
    found = list(dataset.open_frames(VIDEO))
    assert [round(time * 30) for time, _ in found] == [0, 1]
    encode(dataset.video_file(VIDEO), [frame[:240, :320] for frame in frames], 30)
    with pytest.raises(DataError, match=rf"{VIDEO}\.mp4: is 320x240, but the name says 640x480"):
        dataset.open_frames(VIDEO)
    with pytest.raises(DataError, match="no such video file"):
        dataset.open_frames("other_640x480")


def test_another_cut_is_refused(tmp_path):
    """A whole, valid file with another number of frames than DIEM's would put gaze and pictures out of step."""
    video = "music_gummybear_880x720"
    path = tmp_path / video / "video" / f"{video}.mp4"
    path.parent.mkdir(parents=True)
    encode(path, (np.full((720, 880, 3), i, np.uint8) for i in range(3)), 30)
    frames = Diem(tmp_path, DatasetConfig(name="diem")).open_frames(video)
    with pytest.raises(DataError, match=r"has 3 frames, but DIEM's video has 888"):
        list(frames)


@pytest.mark.parametrize(("fps", "frames"), [(25, 75), (50, 150), (60, 180)])
def test_a_copy_of_another_frame_rate_is_refused_as_such(tmp_path, monkeypatch, fps, frames):
    """As long in seconds, but its frames are not those that the rows of the event files stand for."""
    video = "toy_64x48"
    monkeypatch.setattr(diem, "diem_frames", lambda: {video: 90})
    dataset = Diem(tmp_path, DatasetConfig(name="diem"))
    encode(dataset.video_file(video), itertools.repeat(np.zeros((48, 64, 3), np.uint8), frames), fps)
    with pytest.raises(
        DataError,
        match=rf"has {frames} frames, but DIEM's video has 90 at 30 per second; it has been re-encoded at {fps} per",
    ):
        list(dataset.open_frames(video))
