"""The strongest regions of a map, and how much of a map lies in a box: sources and labels of Rudoy et al.

Boxes are N x 4 rows (left, top, right, bottom) in pixel coordinates, edges included: a pixel lies in a box if
its centre does.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TOP_SHARE = 0.03
"""Share of the pixels that count as the strongest."""


class Regions(NamedTuple):
    """Connected regions of the strongest pixels of a map."""

    centres: Floats
    """K x 2, x and y of the middle of each bounding box."""
    boxes: Floats
    """K x 4, from the first to the last pixel."""


def top_regions(values: NDArray[np.floating], share: float = TOP_SHARE) -> Regions:
    """Return the 8-connected regions of the strongest pixels; none for a flat map.

    A pixel is among the strongest if its value is positive and no smaller than the n-th largest, n = ceil(share x
    pixels).
    """
    values = np.asarray(values)
    if not values.max() > values.min():
        return Regions(np.empty((0, 2)), np.empty((0, 4)))
    place = values.size - int(np.ceil(share * values.size))
    strong = (values >= np.partition(values.ravel(), place)[place]) & (values > 0)
    _, _, stats, _ = cv2.connectedComponentsWithStats(strong.astype(np.uint8), connectivity=8)
    corner = stats[1:, [cv2.CC_STAT_LEFT, cv2.CC_STAT_TOP]].astype(np.float64)
    extent = stats[1:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]] - 1.0
    return Regions(corner + extent / 2, np.hstack([corner, corner + extent]))


def shares(values: NDArray[np.floating], boxes: Floats) -> Floats:
    """Return the share of the map's sum that lies in each box; 0 for all if the map is zero."""
    values = np.asarray(values, np.float64)
    total = values.sum()
    if not total > 0:
        return np.zeros(len(boxes))
    height, width = values.shape
    sums = np.pad(values.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    first = np.clip(np.ceil(boxes[:, :2]), 0, (width, height)).astype(int)
    last = np.clip(np.floor(boxes[:, 2:]) + 1, first, (width, height)).astype(int)
    (left, top), (right, bottom) = first.T, last.T
    held = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    return np.asarray(held / total, np.float64)
