"""One frame of a video with everything that a picture shows beside maps: read from the files of the steps before."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dynsal.clips import Clip
from dynsal.config import GazeConfig
from dynsal.gaze import Points, density, read_gaze


class View(NamedTuple):
    """A frame at the working size."""

    bgr: NDArray[np.uint8]
    """H x W x 3."""
    flow: NDArray[np.float32]
    """H x W x 2, pixels."""
    points: Points
    """K x 2, the fixations."""
    truth: NDArray[np.floating[Any]]
    """H x W, their density."""


def view(results: Path, video: str, frame: int, gaze: GazeConfig) -> View:
    """Read a frame, by its index in the source video, from ``results/{ds}``; it must have a fixation."""
    file = read_gaze(results / "gaze" / f"{video}.parquet")
    with Clip(results / "frames" / f"{video}.h5") as frames, Clip(results / "flow" / f"{video}.h5") as flow:
        position = int(np.searchsorted(frames.frames, frame))
        bgr, field = frames.bgr(position), flow.flow(position).astype(np.float32)
    points = file.points[frame]
    return View(bgr, field, points, density(points, file.size, file.sigma(gaze.sigma_deg, gaze.px_per_deg)))
