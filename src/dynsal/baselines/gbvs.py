"""Graph-based visual saliency (Harel, Koch, Perona 2006), as in the authors' Matlab toolbox.

Every feature map is a graph whose nodes are pixels and whose edges are the heavier the more two pixels differ and the
nearer they are; saliency is where a random walker spends its time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dynsal.baselines.base import Frame, Map, Maps
from dynsal.baselines.dkl import TABLE_FILE, fitted_table, read_table
from dynsal.baselines.gbvs_features import Level, feature_maps, pyramid
from dynsal.baselines.gbvs_frames import checked, enlarged, finished, map_size
from dynsal.baselines.matlab import Floats, imresize, mat2gray, rgb2gray
from dynsal.config_baselines import GbvsOptions

LEVELS = (2, 3, 4)
LONGEST_SIDE = 32
"""Of the small map on which graphs are built."""
NEARNESS = 0.15
"""Sigma of the edges' fall with distance, in mean sides of the small map."""
TOLERANCE = 1e-4
"""Change (L2 norm) at which the walk counts as settled."""
MOST_STEPS = 1000
"""Of a walk; on photographs it takes 8 to 44."""
SAME = 1e-12
"""Relative difference up to which values are equal but for rounding."""
POWER = 1.5
"""What activations are raised to; stands for the paper's second chain in the toolbox."""
BLUR = 0.02
FLAT_RANGE, FLAT_BINS = 40, 200
"""Range of grey levels below which, and number of empty ones above which, a frame counts as flat."""


class Gbvs:
    """The maps of one video; see `dynsal.baselines.base.Baseline`.

    Parameters
    ----------
    options
        Channels, and whether frames of little contrast get a map.
    files
        ``rgb2dkl.m``, the toolbox's table for the DKL colours, if the options ask for it.
    """

    def __init__(self, options: GbvsOptions, files: Mapping[str, Path]) -> None:
        self._options = options
        self._remembers = "F" in options.channels
        self._table = read_table(files[TABLE_FILE]) if options.colours == "table" else fitted_table()

    def maps(self, frames: Iterable[Frame]) -> Maps:
        """Yield the map of every kept frame; see `dynsal.baselines.base.Baseline.maps`."""
        before: list[Level] | None = None
        for frame in checked(frames):
            if not (frame.kept or self._remembers):
                continue
            bgr, doubled = enlarged(frame.bgr)
            levels = pyramid(bgr, max(LEVELS))
            if frame.kept and self._options.blank_flat and is_flat(frame.bgr):
                yield frame.index, np.zeros(frame.bgr.shape[:2], np.float32)
            elif frame.kept:
                yield frame.index, self._map(levels, before, doubled)
            if self._remembers:
                before = levels

    def _map(self, levels: list[Level], before: list[Level] | None, doubled: int) -> Map:
        height, width = levels[0].shape[:2]
        size = map_size((height, width), LONGEST_SIDE)
        features = [
            imresize(feature, size)
            for channel in self._options.channels
            for level in LEVELS
            for feature in feature_maps(
                channel, levels[level], None if before is None else before[level], self._table
            )
        ]
        combined = (activations(features) ** POWER).sum(axis=0)
        return finished(combined, BLUR, (height, width), doubled)


def is_flat(bgr: NDArray[np.uint8]) -> bool:
    """Return whether the DIEM figures' code thinks a frame of too little contrast."""
    grey = rgb2gray(bgr[..., ::-1])
    empty = int((np.bincount(grey.ravel(), minlength=256) == 0).sum())
    return int(grey.max()) - int(grey.min()) < FLAT_RANGE or empty > FLAT_BINS


def activations(features: Sequence[Floats]) -> Floats:
    """Return where a walker on each feature map's graph spends its time.

    Parameters
    ----------
    features
        K maps of h x w.

    Returns
    -------
    K x h x w, each of sum 1: the walk is stopped early, as in the toolbox, once it changes little. A constant map gives
    equal values.
    """
    height, width = features[0].shape
    near = _nearness(height, width)
    weights = np.empty_like(near)
    result = np.empty((len(features), height * width))
    for feature, settled in zip(features, result, strict=True):
        settled[:] = _settled(feature.ravel(), near, weights)
    return result.reshape(-1, height, width)


def _settled(values: Floats, near: Floats, weights: Floats) -> Floats:
    """Return the early-stopped walk on one map's graph; ``weights`` is overwritten."""
    walk: Floats = np.full(len(values), 1 / len(values))
    # A plain image's map is constant only up to the rounding errors of its resizing.
    if np.ptp(values) <= SAME * np.abs(values).max():
        return walk
    values = mat2gray(values)
    np.subtract(values[:, None], values, out=weights)
    np.abs(weights, out=weights)
    weights *= near
    degrees = weights.sum(axis=0)
    for _ in range(MOST_STEPS):
        # Weights are symmetric: dividing the walk instead of each column spares a pass over the matrix, and this form
        # of the product runs along rows. Unlike a call of BLAS it sums in the same order with any number of threads.
        step = np.einsum("ij,i->j", weights, walk / degrees)
        change = np.sqrt(np.square(step - walk).sum())
        walk = step
        if change <= TOLERANCE:
            break
    else:
        # A map of two values never settles: the walker always changes sides. The time it spends is known all the same.
        walk = degrees
    walk /= walk.sum()
    return walk


@lru_cache(maxsize=4)
def _nearness(height: int, width: int) -> Floats:
    """Return the fall of the edges' weights with distance, N x N for the N pixels row by row."""
    y, x = (axis.ravel() for axis in np.indices((height, width)))
    squares = np.square(y[:, None] - y) + np.square(x[:, None] - x)
    sigma = NEARNESS * (height + width) / 2
    near: Floats = np.exp(-squares / (2 * sigma**2))
    return near
