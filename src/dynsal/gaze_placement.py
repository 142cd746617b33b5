"""Putting the rows of a user's table on the frames of a video.

In the table x runs right and y down from the top-left corner of the picture or screen, on which the first pixel covers
0 .. 1; what leaves this module has pixel centres at integers (`dynsal.gaze`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dynsal.fixations import frame_range, spread
from dynsal.gaze import Gaze, Size, sort_table
from dynsal.gaze_table import Rows

SLACK = 1e-6
"""Frames by which a time may miss the start of its frame through rounding."""


@dataclass(frozen=True)
class Placement:
    """Where rows fall on a video: frames, positions, and masks of the rows that cannot count (no two of a row)."""

    first: NDArray[np.int64]
    last: NDArray[np.int64]
    x: NDArray[np.float64]
    """In source pixels, pixel centres at integers."""
    y: NDArray[np.float64]
    dropped: dict[str, NDArray[np.bool_]]

    @property
    def kept(self) -> NDArray[np.bool_]:
        """The rows that count."""
        return np.asarray(~np.logical_or.reduce(list(self.dropped.values())))


def place(rows: Rows, fps: float, frames: int, size: Size, origin: tuple[float, float]) -> Placement:
    """Return which frames the rows of one video cover, and where.

    A fixation with a duration covers frames by `dynsal.fixations.frame_range`; one that is given by its frame starts with
    that frame and covers as many as its duration begins, at least one. A sample without duration lies in frame
    floor(t_ms * fps / 1000), or in the frame that it names.

    Parameters
    ----------
    rows
        Of one video.
    fps, frames, size
        Of the video; size is (width, height).
    origin
        Where the picture's top-left corner lies in the coordinates of the table.
    """
    table = rows.table
    when, duration = table["when"].to_numpy(), table["duration"].to_numpy()
    lasting = ~np.isnan(duration)
    length = np.where(lasting, duration, 0.0)
    if rows.by_frame:
        first = when.astype(np.int64)
        covered = np.ceil(length * fps / 1000 - SLACK).astype(np.int64)
        last = np.minimum(first + np.maximum(covered, 1), frames) - 1
    else:
        sample = np.floor(when * fps / 1000 + SLACK).astype(np.int64)
        start, end = frame_range(when, length, fps, frames)
        first, last = np.where(lasting, start, sample), np.where(lasting, end, sample)
    x, y = table["x"].to_numpy() - origin[0], table["y"].to_numpy() - origin[1]
    lost = np.isnan(x) | np.isnan(y)
    early = ~lost & (last < 0)
    late = ~lost & ~early & ((first >= frames) | (first > last))
    inside = (x >= 0) & (x < size[0]) & (y >= 0) & (y < size[1])
    dropped = {
        "without_position": lost,
        "before_video_start": early,
        "after_video_end": late,
        "outside_frame": ~lost & ~early & ~late & ~inside,
    }
    return Placement(first, last, x - 0.5, y - 0.5, dropped)


def to_gaze(rows: Rows, placed: Placement, frames: int, size: Size) -> Gaze:
    """Return the points per frame, and how many rows were dropped for what."""
    source, frame = spread(placed.first, placed.last, placed.kept)
    subject = rows.table["subject"].to_numpy(object)
    table = sort_table(frame, subject[source], placed.x[source], placed.y[source])
    dropped = {reason: int(mask.sum()) for reason, mask in placed.dropped.items()}
    return Gaze(table, dropped, frames, size)
