"""Which frames a fixation covers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def frame_range(
    start: NDArray[np.float64], duration: NDArray[np.float64], fps: float, frames: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first and last frame, from 0, that fixations cover; first > last where there is none.

    The rule of hevc33's authors: with dt = 1000 / fps, the frames (from 1) ceil(start / dt) .. ceil((start + duration) /
    dt), clipped to 1 .. ``frames``. Start and duration are in milliseconds.
    """
    first = np.maximum(_ceil(start, fps), 1)
    last = np.minimum(_ceil(start + duration, fps), frames)
    return first - 1, last - 1


def _ceil(ms: NDArray[np.float64], fps: float) -> NDArray[np.int64]:
    # ms * fps / 1000 is exact for whole milliseconds and rates but for one rounding; ms / (1000 / fps) has two.
    return np.ceil(ms * fps / 1000).astype(np.int64)


def spread(
    first: NDArray[np.int64], last: NDArray[np.int64], kept: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (row, frame) of one point per frame that each kept row covers, row by row."""
    rows = np.flatnonzero(kept)
    lengths = (last - first + 1)[rows]
    source = np.repeat(rows, lengths)
    offset = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return source, first[source] + offset
