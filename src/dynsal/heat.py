"""A map laid over a picture in planes of YUV 4:2:0, as video encoders want them: a few table look-ups per pixel.

The look is that of `dynsal.figures.overlay`: the picture in dimmed grey, and over it the colours of inferno, the
stronger the higher the map; each map by its own maximum. Values are BT.601 in video range (16 to 235).
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Planes = NDArray[np.uint8]
"""H * 3/2 x W: the H x W of Y, then U and V at half the sides, as OpenCV's I420."""

_OPAQUE = 1.6
"""Weight of the colour at the map's maximum; above 1, the colour alone shows from 1/1.6 of it on."""


def planes_of(bgr: NDArray[np.uint8]) -> Planes:
    """Return an H x W x 3 picture as planes; an odd side gets one repeated row or column."""
    height, width = bgr.shape[:2]
    if height % 2 or width % 2:
        bgr = np.asarray(cv2.copyMakeBorder(bgr, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE), np.uint8)
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV_I420), np.uint8)


def bgr_of(planes: Planes) -> NDArray[np.uint8]:
    """Return planes as an H x W x 3 picture."""
    return np.asarray(cv2.cvtColor(planes, cv2.COLOR_YUV2BGR_I420), np.uint8)


def lay_over(planes: Planes, saliency: NDArray[np.floating[Any]], size: tuple[int, int]) -> Planes:
    """Return the picture in grey with the map over it.

    Parameters
    ----------
    planes
        The picture, from :func:`planes_of`.
    saliency
        h x w, >= 0, of any size: it is stretched over the picture.
    size
        Width and height of the picture before its sides were made even.
    """
    height, width = planes.shape[0] * 2 // 3, planes.shape[1]
    peak = float(saliency.max())
    level = np.asarray(saliency * (255 / peak) if peak > 0 else np.zeros_like(saliency))
    level = np.asarray(cv2.resize(np.rint(level).astype(np.uint8), size, interpolation=cv2.INTER_LINEAR))
    if size != (width, height):
        level = cv2.copyMakeBorder(level, 0, height - size[1], 0, width - size[0], cv2.BORDER_REPLICATE)
    out = np.empty_like(planes)
    grey = cv2.multiply(planes[:height], cv2.LUT(level, _KEPT), scale=1 / 255)
    cv2.add(grey, cv2.LUT(level, _LUMA), dst=out[:height])
    half = cv2.resize(level, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    chroma = out[height:].reshape(2, height // 2, width // 2)
    chroma[0], chroma[1] = cv2.LUT(half, _BLUE), cv2.LUT(half, _RED)
    return out


def beside(left: Planes, right: Planes) -> Planes:
    """Return two pictures of one size side by side."""
    height, width = left.shape[0] * 2 // 3, left.shape[1]
    out = np.empty((left.shape[0], 2 * width), np.uint8)
    out[:height] = np.hstack([left[:height], right[:height]])
    parts = [one[height:].reshape(2, height // 2, width // 2) for one in (left, right)]
    out[height:] = np.concatenate(parts, axis=2).reshape(-1, 2 * width)
    return out


def _tables() -> tuple[NDArray[np.uint8], ...]:
    """Return, per level of the map: what to multiply the picture's Y with (of 255), what to add to it, and U and V.

    The grey picture is dimmed to 0.25 + 0.6 * grey.
    """
    levels = np.arange(256, dtype=np.uint8)
    bgr = cv2.applyColorMap(levels[:, None], cv2.COLORMAP_INFERNO)[:, 0].astype(np.float64) / 255
    blue, green, red = bgr.T
    luma = 16 + 65.481 * red + 128.553 * green + 24.966 * blue
    u = -37.797 * red - 74.203 * green + 112.0 * blue
    v = 112.0 * red - 93.786 * green - 18.214 * blue
    weight = np.clip(_OPAQUE * levels / 255, 0, 1)
    black = 16 + 0.25 * 219 - 0.6 * 16
    kept, added = 255 * 0.6 * (1 - weight), (1 - weight) * black + weight * luma
    tables = (kept, added, 128 + weight * u, 128 + weight * v)
    return tuple(np.rint(table).astype(np.uint8) for table in tables)


_KEPT, _LUMA, _BLUE, _RED = _tables()
