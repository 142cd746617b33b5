"""ROC curves whose area is the exact AUC of `dynsal.metrics`, on a fixed grid so that they can be averaged."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dynsal.metrics import checked_map, pixel_index

GRID: NDArray[np.float64] = np.linspace(0, 1, 201)
"""False-positive rates at which curves are kept."""


def curve(
    saliency: ArrayLike, fixations: ArrayLike, negatives: ArrayLike, grid: NDArray[np.float64] = GRID
) -> NDArray[np.float64]:
    """Return the true-positive rate at every false-positive rate of a grid.

    Thresholds are all values of the map at the points; between them the curve is straight, which counts ties one half,
    as :func:`dynsal.metrics.sauc` does. Where it rises upright, the upper end counts.

    Parameters
    ----------
    saliency
        H x W, any scale.
    fixations, negatives
        K x 2, columns x, y in pixels of the map.
    grid
        Rising, from 0 to 1.

    Returns
    -------
    numpy.ndarray
        As long as the grid; NaN without fixations or negatives.

    Raises
    ------
    ValueError
        As the metrics, for maps and points that make no sense.
    """
    values = checked_map(saliency, "saliency")
    flat = values.ravel()
    positive = np.sort(flat[pixel_index(fixations, values.shape)])
    negative = np.sort(flat[pixel_index(negatives, values.shape)])
    if not (positive.size and negative.size):
        return np.full(len(grid), np.nan)
    thresholds = np.unique(np.concatenate([positive, negative]))[::-1]
    hits = (positive.size - np.searchsorted(positive, thresholds, "left")) / positive.size
    alarms = (negative.size - np.searchsorted(negative, thresholds, "left")) / negative.size
    # Of points above each other, interp takes the highest at their own rate and the lowest for the slope before them.
    return np.asarray(np.interp(grid, np.append(0.0, alarms), np.append(0.0, hits)))


def mean_curve(by_video: Iterable[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the mean over videos of the mean over frames, as tables average; frames with NaN are left out.

    Parameters
    ----------
    by_video
        Per video, frames x grid. Videos without any curve are left out.
    """
    means = []
    for curves in by_video:
        kept = curves[np.isfinite(curves).all(axis=1)]
        if len(kept):
            means.append(kept.mean(axis=0))
    return np.asarray(np.mean(means, axis=0))


def spread(frames: NDArray[np.int_], most: int) -> NDArray[np.int_]:
    """Return at most ``most`` entries, evenly spread: the middles of as many equal parts."""
    count = min(most, len(frames))
    return np.asarray(frames[((np.arange(count) + 0.5) * len(frames) / max(count, 1)).astype(int)])
