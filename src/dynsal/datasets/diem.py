"""DIEM: mp4 videos and per-viewer event files (Mital, Smith, Hill, Henderson 2011).

``<root>/<VIDEO>/video/<VIDEO>.mp4`` and ``<root>/<VIDEO>/event_data/diem<EXP>s<SUBJ>.asc_<TRIAL>_<VIDEO>.txt``. One
row per frame, nine tab-separated columns: frame (from 1), left x, y, pupil, event, right x, y, pupil, event. Events:
-1 dropped, 0 blink, 1 fixation, 2 saccade (saccades are flagged in the left column only). Coordinates are pixels of
the 1280x960 screen with the movie centred at its native size, which is the size in the video's *name*.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections import Counter
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dynsal.datasets.base import Dataset, Decoded, Wanted
from dynsal.errors import DataError
from dynsal.gaze import Gaze, Size, require_fixations, sort_table
from dynsal.layout import diem_frames
from dynsal.manifests import verify_manifest
from dynsal.video import decode, probe

SCREEN: Size = (1280, 960)
COLUMNS = 9
_EVENTS = (-1, 0, 1, 2)
_FIXATION = 1
_FILE = re.compile(r"^diem(\d+)s(\d+[a-z]?)\.asc_(\d+)_(.+)\.txt$")
_SIZE = re.compile(r"_(\d+)x(\d+)$")
_AGAIN = "Fetch it again, or remove the file to do without this recording"


FPS = 30.0
"""Frames per second of DIEM's videos, and rows per second of its event files."""
FRAME_TOLERANCE = 0.02
"""Share of the published number of frames by which a file may differ (and never less than five frames)."""


class Recording(NamedTuple):
    """One viewer's event file, by its name."""

    path: Path
    experiment: int
    subject: str
    trial: int
    video: str


class Diem(Dataset):
    """The reader; sub-classes may change the name, as the synthetic demo does."""

    name: ClassVar[str] = "diem"
    px_per_deg: ClassVar[float] = 50.0

    def verify(self, video: str) -> None:
        """Check the video's folder against its manifest."""
        verify_manifest(self.root, video)

    def video_file(self, video: str) -> Path:
        """Return the mp4."""
        return self.root / video / "video" / f"{video}.mp4"

    def open_frames(self, video: str, wanted: Wanted | None = None) -> Decoded:
        """Return the frames, after checking that the file has the size in the name.

        At the end their number is compared with the published one: copies may differ by a few frames, but another
        cut or another frame rate would put gaze and pictures out of step.
        """
        path, info, named = self.video_file(video), probe(self.video_file(video)), native_size(video)
        if (info.width, info.height) != named:
            raise DataError(
                path,
                f"is {info.width}x{info.height}, but the name says {named[0]}x{named[1]}",
                "Gaze refers to the native size: get the original, or scale this copy to it",
            )
        return _of_this_cut(path, decode(path, wanted), info.fps, diem_frames().get(video))

    def fixations(self, video: str) -> Gaze:
        """Return one point per frame and recording whose events qualify (key ``eyes``), inside the frame."""
        folder = self.root / video / "event_data"
        size = native_size(video)
        everything = recordings(folder, video)
        chosen = self._chosen(folder, everything)
        rows = _stack(chosen)  # recordings x frames x columns
        n_frames = rows.shape[1]
        other = [recording for recording in everything if recording not in chosen]
        x, y, valid = fixation_points(rows, self.config.eyes)
        x = x - (SCREEN[0] - size[0]) / 2
        y = y - (SCREEN[1] - size[1]) / 2
        inside = valid & (x >= 0) & (x < size[0]) & (y >= 0) & (y < size[1])
        frame, who = np.nonzero(inside.T)  # by frame, then by recording
        subjects = np.array(subject_ids(chosen), dtype=object)
        gaze = Gaze(
            sort_table(frame, subjects[who], x[who, frame] - 0.5, y[who, frame] - 0.5),
            {
                "other_experiment": len(other) * n_frames,
                "no_fixation": int((~valid).sum()),
                "outside_frame": int((valid & ~inside).sum()),
                "after_video_end": 0,
            },
            n_frames,
            size,
        )
        return require_fixations(gaze, folder)

    def _chosen(self, folder: Path, everything: list[Recording]) -> list[Recording]:
        """Return the recordings of the configured experiments."""
        known = {recording.experiment for recording in everything}
        wanted = self.config.experiments
        if wanted == "all":
            return everything
        experiments = {max(known)} if wanted == "latest" else set(wanted)
        chosen = [recording for recording in everything if recording.experiment in experiments]
        if not chosen:
            raise DataError(
                folder,
                f"no recording of experiments {sorted(experiments)}; there are {sorted(known)}",
                "Change dataset.experiments",
            )
        return chosen


def _of_this_cut(path: Path, decoded: Decoded, fps: float, published: int | None) -> Decoded:
    count = 0
    for frame in decoded:
        count += 1
        yield frame
    if published is None or not _differs(count, published):
        return
    problem, remedy = f"has {count} frames, but DIEM's video has {published}", "it is another cut"
    if not _differs(count * FPS / fps, published):
        problem += f" at {FPS:g} per second; it has been re-encoded at {fps:g} per second"
        remedy = "event files have a row for each of its frames"
    raise DataError(path, problem, f"Get the original: {remedy}")


def _differs(count: float, published: int) -> bool:
    return abs(count - published) > max(5, FRAME_TOLERANCE * published)


def native_size(video: str) -> Size:
    """Return the native width and height, which end a video's name.

    Raises
    ------
    DataError
        If the name has none, or one larger than the screen.
    """
    match = _SIZE.search(video)
    if match is None:
        raise DataError(
            video, "the name does not end in the native size", "DIEM names look like one_show_1280x712"
        )
    size = int(match[1]), int(match[2])
    if not (0 < size[0] <= SCREEN[0] and 0 < size[1] <= SCREEN[1]):
        raise DataError(video, f"{size[0]}x{size[1]} does not fit the 1280x960 screen", "Check the name")
    return size


def recordings(folder: Path, video: str) -> list[Recording]:
    """Return the event files of a video, by experiment, then by name; hidden and other files are ignored.

    Raises
    ------
    DataError
        If the folder is missing or has no event file, or a .txt file's name is malformed or names another video.
    """
    remedy = f"Get the video's event_data from the DIEM project page and put it into {folder}"
    if not folder.is_dir():
        raise DataError(folder, "there is no such folder of event files", remedy)
    found = []
    for path in sorted(folder.glob("*.txt")):
        if path.name.startswith("."):
            continue
        match = _FILE.match(path.name)
        if match is None:
            raise DataError(
                path, "is not named like an event file", "Expected diem<EXP>s<SUBJ>.asc_<TRIAL>_<VIDEO>.txt"
            )
        if match[4] != video:
            raise DataError(
                path, f"is a recording of {match[4]}, not of {video}", "Move it to that video's folder"
            )
        found.append(Recording(path, int(match[1]), match[2], int(match[3]), video))
    if not found:
        raise DataError(folder, "holds no event file", remedy)
    return sorted(found, key=lambda recording: (recording.experiment, recording.path.name))


def subject_ids(chosen: list[Recording]) -> list[str]:
    """Return "experiment-subject" of each recording, with the trial where that alone would not be unique."""
    short = [f"{recording.experiment}-{recording.subject}" for recording in chosen]
    times = Counter(short)
    return [
        name if times[name] == 1 else f"{name}-{recording.trial}"
        for name, recording in zip(short, chosen, strict=True)
    ]


def fixation_points(
    rows: NDArray[np.float64], eyes: str
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Return screen x, y and whether a row counts, by its events alone; never by coordinates being zero.

    Parameters
    ----------
    rows
        ... x 9, as in the event files.
    eyes
        ``both``: both events are fixations, mean of the eyes; ``either``: mean of the eyes whose event is one.
    """
    left, right = rows[..., 4] == _FIXATION, rows[..., 8] == _FIXATION
    valid = left & right if eyes == "both" else left | right
    count = np.maximum(left.astype(int) + right, 1)
    x = (np.where(left, rows[..., 1], 0) + np.where(right, rows[..., 5], 0)) / count
    y = (np.where(left, rows[..., 2], 0) + np.where(right, rows[..., 6], 0)) / count
    return x, y, valid


def read_events(path: Path) -> NDArray[np.float64]:
    """Return an event file as frames x 9 numbers.

    Raises
    ------
    DataError
        With file and line: a wrong number of columns (the old 4-column form included), a cell that is no finite
        number, frames that do not count 1, 2, 3, ..., an unknown event, an empty file, or one cut short.
    """
    data = path.read_bytes()
    if not data:
        raise DataError(path, "the event file is empty (0 bytes)", _AGAIN)
    codes = np.frombuffer(data, np.uint8)
    line_ends, tabs = np.flatnonzero(codes == 10), np.flatnonzero(codes == 9)
    columns = np.diff(np.searchsorted(tabs, line_ends), prepend=0) + 1
    if data.endswith(b"\n") and (columns == COLUMNS).all():
        try:
            table = pd.read_csv(
                io.BytesIO(data), sep="\t", header=None, names=list(range(COLUMNS)), dtype=np.float64, index_col=False,
                quoting=csv.QUOTE_NONE, na_filter=False, skip_blank_lines=False,
            )  # fmt: skip
        except ValueError:  # pandas' parser errors are ValueErrors
            pass
        else:
            rows = table.to_numpy()
            if rows.shape == (len(line_ends), COLUMNS) and _good(rows):
                return rows
    raise _first_problem(path, data)


def _good(rows: NDArray[np.float64]) -> bool:
    events = rows[:, [4, 8]]
    return bool(
        np.isfinite(rows).all()
        and (rows[:, 0] == np.arange(1, len(rows) + 1)).all()
        and (np.isin(events, _EVENTS)).all()
    )


def _first_problem(path: Path, data: bytes) -> DataError:
    """Return the error for the first bad line; slow, and only needed once something is wrong."""
    lines = data.decode("ascii", errors="replace").split("\n")
    rest = lines.pop()
    for number, line in enumerate(lines, 1):
        problem = _line_problem(line.removesuffix("\r"), number)
        if problem:
            return DataError(f"{path}:{number}", problem, _AGAIN)
    if rest:
        return DataError(
            f"{path}:{len(lines) + 1}", "the last line has no end: the file is cut short", _AGAIN
        )
    return DataError(path, "is no table of numbers", _AGAIN)


def _line_problem(line: str, number: int) -> str | None:
    cells = line.split("\t")
    if len(cells) == 4:
        return "4 columns: this is the old form (frame, x, y, pupil) without events; 9 columns are needed"
    if len(cells) != COLUMNS:
        return f"{len(cells)} columns instead of 9"
    for position, cell in enumerate(cells, 1):
        try:
            value = float(cell)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            return f"column {position} is {cell!r}, no number"
        if position == 1 and value != number:
            return f"frame {cell} where {number} should follow"
        if position in (5, 9) and value not in _EVENTS:
            return f"column {position} is {cell!r}, no event (-1, 0, 1 or 2)"
    return None


def _stack(chosen: list[Recording]) -> NDArray[np.float64]:
    """Read all files; they must have equally many rows."""
    read = [read_events(recording.path) for recording in chosen]
    usual = Counter(len(rows) for rows in read).most_common(1)[0][0]
    for recording, rows in zip(chosen, read, strict=True):
        if len(rows) != usual:
            raise DataError(recording.path, f"has {len(rows)} rows, the other recordings {usual}", _AGAIN)
    return np.stack(read)
