"""What the viewer shows of one video: a mosaic of pictures per frame, and the file that holds them.

All panels of a video are tiles of one mosaic, hence of one video file: they cannot fall out of step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dynsal.errors import DataError
from dynsal.figures import blend, flow_colours
from dynsal.gaze import Points, Size
from dynsal.video import encode, resize

Picture = NDArray[np.uint8]
"""H x W x 3, BGR."""

MOST_FRAMES = 150
"""Frames of a video that are shown at most."""

AREA = 320 * 180
"""Pixels of a panel, about."""

BLOCK = 16
"""Sides of panels are multiples of this: H.264 codes blocks of 16 x 16, so no block belongs to two panels."""

KEYINT = 30
"""Every so many frames one decodes alone, so that scrubbing is quick."""


def middle(count: int, most: int = MOST_FRAMES) -> range:
    """Return the positions of the frames to show: all of ``count``, or the ``most`` in the middle.

    The first seconds are left out first: there, viewers still look at the centre.
    """
    shown = min(count, most)
    start = (count - shown) // 2
    return range(start, start + shown)


def panel_size(source: Size, area: int = AREA) -> Size:
    """Return a panel's (width, height) with about the source video's aspect ratio, in multiples of `BLOCK`."""
    scale = math.sqrt(area / (source[0] * source[1]))
    width, height = (max(2, round(side * scale / BLOCK)) * BLOCK for side in source)
    return width, height


def heat(bgr: Picture, saliency: NDArray[np.floating[Any]]) -> Picture:
    """Lay a map of any size over its frame in the colours of the figures, divided by its own maximum.

    Parameters
    ----------
    bgr
        H x W x 3.
    saliency
        h x w, non-negative; only its shape counts, not its scale.

    Returns
    -------
    numpy.ndarray
        H x W x 3 uint8 BGR.
    """
    size = (bgr.shape[1], bgr.shape[0])
    fitted = np.clip(resize(np.asarray(saliency, np.float64), size), 0, None)
    return to_bytes(blend(bgr, fitted / max(float(fitted.max()), 1e-300)))


def gaze(bgr: Picture, density: NDArray[np.floating[Any]], points: Points) -> Picture:
    """Lay the density of gaze over its frame, with a dot at every fixation.

    ``points`` (K x 2) are in pixels of the density; the frame may have another size.
    """
    picture = heat(bgr, density)
    scale = np.array(bgr.shape[1::-1]) / np.array(density.shape[1::-1])
    shift = 3  # OpenCV's fixed point: places to an eighth of a pixel
    for x, y in np.round(((points + 0.5) * scale - 0.5) * 2**shift).astype(int).tolist():
        for radius, colour in ((3.9, (0, 0, 0)), (2.8, (255, 255, 255))):  # seen on dark and on bright
            cv2.circle(picture, (x, y), round(radius * 2**shift), colour, -1, cv2.LINE_AA, shift)
    return picture


def motion(flow: NDArray[np.floating[Any]], bound: float, size: Size) -> Picture:
    """Colour a field (h x w x 2, pixels) as the figures do; ``bound`` is the magnitude of full saturation."""
    return to_bytes(flow_colours(resize(np.asarray(flow, np.float32), size), bound))


def to_bytes(rgb: NDArray[np.floating[Any]]) -> Picture:
    """Turn RGB in 0 .. 1 into BGR bytes."""
    return np.ascontiguousarray(np.round(np.clip(rgb, 0, 1) * 255)[..., ::-1].astype(np.uint8))


def columns(count: int) -> int:
    """Return how many tiles stand in a row of the mosaic."""
    return math.ceil(math.sqrt(count))


def mosaic(tiles: Sequence[Picture]) -> Picture:
    """Join pictures of one size, row by row; the rest of the last row is grey."""
    height, width = tiles[0].shape[:2]
    across = columns(len(tiles))
    joined = np.full((math.ceil(len(tiles) / across) * height, across * width, 3), 128, np.uint8)
    for number, tile in enumerate(tiles):
        top, left = number // across * height, number % across * width
        joined[top : top + height, left : left + width] = tile
    return joined


def encode_within(path: Path, frames: Sequence[Picture], fps: float, limit: int) -> int:
    """Write frames as H.264 in the best quality that stays within ``limit`` bytes; return the CRF that was taken.

    Raises
    ------
    DataError
        If even the poorest quality takes more, or as `dynsal.video.encode`.
    """
    for crf in range(20, 52, 3):
        encode(path, frames, fps, crf, keyint=KEYINT)
        if path.stat().st_size <= limit:
            return crf
    path.unlink()
    raise DataError(path, f"{len(frames)} frames do not fit in {limit} bytes", "Report this with the log")
