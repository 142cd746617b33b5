"""Saliency metrics as three widely used code bases compute them, for comparison with published numbers.

The exact metrics are in :mod:`dynsal.metrics`, whose conventions for maps and points hold here too. What
differs is the substance: thresholds at fixed steps, duplicates merged, maps stretched to [0, 1], random
negatives.

* ``mit_*``: the MIT benchmark, cvzoya/saliency@5951cdc:code_forMetrics/
* ``borji_*``: Borji's code in Schauerte's version, as Rudoy et al. and probably the reproduced paper used it,
  yonidishon/milestones@26ec737:video_attention/compare/BorjiMetrics/
* ``salicon_*``: the SALICON challenge, NUS-VIP/salicon-evaluation@425922e:saliconeval/

Parameters that many of them share:

* ``saliency``: all but NSS, CC and KLD stretch it to [0, 1]; a constant map becomes 0 everywhere in
  ``borji_*`` and ``salicon_*`` and has no score in ``mit_*``.
* ``step``: distance of the thresholds that sweep the stretched map.
* ``n_splits``: number of random sets of negatives, each scored on its own, over which the score is averaged.
* ``rng``: a seed or a generator; None means seed 0, so that the same call gives the same score. The draws
  cannot equal Matlab's: scores agree with the originals in distribution, not digit for digit.
* ``shape``: height and width of the grid in which the points are given and to which the map is resized first,
  as the original does it; None keeps the map's size. The MIT code resizes too (antialiased bicubic): do that
  before the call.

Scores are NaN without fixations, and where a function says so.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from dynsal import metrics

Rng = np.random.Generator | int | None


def mit_auc_shuffled(
    saliency: ArrayLike,
    fixations: ArrayLike,
    negatives: ArrayLike,
    n_splits: int = 100,
    step: float = 0.1,
    rng: Rng = None,
) -> float:
    """Shuffled AUC of the MIT benchmark, cvzoya/saliency@5951cdc:code_forMetrics/AUC_shuffled.m.

    Each split compares the fixated pixels with as many pixels of the pool (or all, if it has fewer), drawn
    without replacement. Duplicates are merged in both; the MIT pool holds the fixations of 10 other images.
    NaN without negatives and for a constant map.
    """
    unit, constant = _stretched(saliency)
    fixated, pool = _pixels(fixations, unit), _pixels(negatives, unit)
    if constant or not fixated.size or not pool.size:
        return math.nan
    generator = _generator(rng)
    draws = [generator.permutation(pool)[: fixated.size] for _ in range(_positive(n_splits, "n_splits"))]
    return _mean_stepped_auc(unit, fixated, draws, step)


def mit_auc_judd(saliency: ArrayLike, fixations: ArrayLike, jitter: bool = True, rng: Rng = None) -> float:
    """AUC against all other pixels, cvzoya/saliency@5951cdc:code_forMetrics/AUC_Judd.m.

    Thresholds are the values at the fixations, duplicates merged. ``jitter`` adds noise of at most 1e-7,
    before stretching, to break ties. NaN if every pixel is fixated, and for a constant map without jitter.
    """
    values = metrics.checked_map(saliency, "saliency").astype(np.float64, order="C")
    if jitter:
        values += _generator(rng).random(values.shape) / 1e7
    unit, constant = _stretched(values)
    fixated = _pixels(fixations, unit)
    n_others = unit.size - fixated.size
    if constant or not fixated.size or not n_others:
        return math.nan
    thresholds = -np.sort(-unit.ravel()[fixated])
    above = unit.size - np.sort(unit, axis=None).searchsorted(thresholds, "left")
    rank = np.arange(1, fixated.size + 1)
    # With ties the curve may step back: part of the original, and the reason for its jitter.
    tp = np.concatenate(([0.0], rank / fixated.size, [1.0]))
    fp = np.concatenate(([0.0], (above - rank) / n_others, [1.0]))
    return float(np.trapezoid(tp, fp))


def mit_auc_borji(
    saliency: ArrayLike, fixations: ArrayLike, n_splits: int = 100, step: float = 0.1, rng: Rng = None
) -> float:
    """AUC against uniformly random pixels, cvzoya/saliency@5951cdc:code_forMetrics/AUC_Borji.m.

    Each split draws as many pixels as there are fixated ones (duplicates merged), with replacement. NaN with
    fewer than 2 fixated pixels and for a constant map.
    """
    unit, constant = _stretched(saliency)
    fixated = _pixels(fixations, unit)
    if constant or fixated.size <= 1:
        return math.nan
    draws = _generator(rng).integers(unit.size, size=(_positive(n_splits, "n_splits"), fixated.size))
    return _mean_stepped_auc(unit, fixated, draws, step)


def mit_nss(saliency: ArrayLike, fixations: ArrayLike) -> float:
    """NSS, cvzoya/saliency@5951cdc:code_forMetrics/NSS.m.

    ``ddof=1``, duplicates merged. NaN for a constant map.
    """
    grid = metrics.checked_map(saliency, "saliency")
    # Only the standard deviation differs, by a factor that depends on the number of pixels.
    correction = math.sqrt((grid.size - 1) / grid.size)
    return metrics.nss(grid, _points(_pixels(fixations, grid), grid)) * correction


def mit_kld(saliency: ArrayLike, density: ArrayLike) -> float:
    """KL divergence, cvzoya/saliency@5951cdc:code_forMetrics/KLdiv.m.

    The same as :func:`dynsal.metrics.kld`; without stretching, unlike ``mit_similarity``. For the MIT
    benchmark's density see :func:`mit_density`.
    """
    return metrics.kld(saliency, density)


def mit_similarity(saliency: ArrayLike, density: ArrayLike) -> float:
    """Histogram intersection of stretched maps, cvzoya/saliency@5951cdc:code_forMetrics/similarity.m.

    Both maps are stretched to [0, 1] before they are divided by their sums, which removes any pedestal. NaN
    if either map is constant, but 0 if it is 0 everywhere.
    """
    grids = [metrics.checked_map(saliency, "saliency"), metrics.checked_map(density, "density")]
    if grids[0].shape != grids[1].shape:
        raise ValueError(f"saliency is {grids[0].shape} (height, width) but density is {grids[1].shape}")
    stretched = [_stretched(grid) for grid in grids]
    if any(constant and grid.any() for grid, (_, constant) in zip(grids, stretched, strict=True)):
        return math.nan
    if any(constant for _, constant in stretched):
        return 0.0
    return metrics.sim(stretched[0][0], stretched[1][0])


def mit_cc(saliency: ArrayLike, density: ArrayLike) -> float:
    """Pearson's correlation, cvzoya/saliency@5951cdc:code_forMetrics/CC.m; the same as ``metrics.cc``."""
    return metrics.cc(saliency, density)


def mit_density(fixations: ArrayLike, shape: tuple[int, int], cutoff: float = 8.0) -> NDArray[np.float64]:
    """Blur fixations as the MIT benchmark does, cvzoya/saliency@5951cdc:code_forMetrics/antonioGaussian.m.

    The binary fixation map behind a Gaussian low-pass that halves amplitudes at ``cutoff`` cycles per image,
    an image being the next power of two at least as large as either side: 24.0 pixels of standard deviation
    at 640 x 480. The original filters in the Fourier domain with zero padding; this is the same kernel, cut
    at 6 standard deviations. Duplicates are merged; the result is not normalised.
    """
    binary = np.zeros(shape)
    binary.flat[_pixels(fixations, binary)] = 1.0
    # The smallest side that the original's rounding up to an even number, then a power of two, can give is 2.
    side = max(2, 1 << (max(shape) - 1).bit_length())
    sigma = side * math.sqrt(math.log(2) / 2) / (math.pi * cutoff)
    return ndimage.gaussian_filter(binary, sigma, mode="constant", truncate=6.0)


def borji_auc_shuffled(
    saliency: ArrayLike,
    fixations: ArrayLike,
    negatives: ArrayLike,
    n_splits: int = 100,
    step: float = 0.01,
    rng: Rng = None,
    shape: tuple[int, int] | None = None,
) -> float:
    """Shuffled AUC of Rudoy et al., after Borji and Schauerte.

    yonidishon/milestones@26ec737:video_attention/compare/BorjiMetrics/{calcAUCscore,auc}.m
    Each split draws as many negatives as there are fixated pixels, with replacement, from the merged pool,
    which may contain the frame's own fixated pixels. An empty pool means all pixels, as in the original: the
    score then is no shuffled one. Resizes by nearest neighbour. 0.5 for a constant map.
    """
    grid = metrics.checked_map(saliency, "saliency")
    if shape is not None:
        rows, columns = (
            # Pixel centres on pixel centres; exact integers, so that ties round as Matlab's imresize does.
            (2 * np.arange(new) + 1) * old // (2 * new)
            for old, new in zip(grid.shape, shape, strict=True)
        )
        grid = grid[np.ix_(rows, columns)]
    unit, _ = _stretched(grid)
    fixated, pool = _pixels(fixations, unit), _pixels(negatives, unit)
    if not fixated.size:
        return math.nan
    if not pool.size:
        pool = np.arange(unit.size)
    draws = _generator(rng).choice(pool, size=(_positive(n_splits, "n_splits"), fixated.size))
    return _mean_stepped_auc(unit, fixated, draws, step)


def salicon_auc(
    saliency: ArrayLike,
    fixations: ArrayLike,
    n_random: int = 100_000,
    step: float = 0.01,
    rng: Rng = None,
    shape: tuple[int, int] | None = None,
) -> float:
    """AUC against uniformly random pixels, NUS-VIP/salicon-evaluation@425922e:saliconeval/auc/auc.py.

    ``n_random`` pixels are drawn once, with replacement; thresholds stop short of the maximum. Duplicate
    fixations count; by default the original first applies what is :func:`salicon_filter` here. Resizes by
    cubic spline. 0.5 for a constant map.
    """
    unit, _ = _stretched(_spline_resized(saliency, shape))
    positives = unit.ravel()[metrics.pixel_index(fixations, unit.shape)]
    if not positives.size:
        return math.nan
    drawn = _generator(rng).integers(unit.size, size=_positive(n_random, "n_random"))
    return _stepped_auc(positives, unit.ravel()[drawn], step, last=False)


def salicon_sauc(
    saliency: ArrayLike,
    fixations: ArrayLike,
    negatives: ArrayLike,
    step: float = 0.01,
    shape: tuple[int, int] | None = None,
) -> float:
    """Shuffled AUC of SALICON, NUS-VIP/salicon-evaluation@425922e:saliconeval/sauc/sauc.py.

    No random draws: every negative counts as often as it occurs, but for those on the frame's own fixated
    pixels. In the original a pixel counts once per image: merge each image's duplicates before the call.
    Thresholds stop short of the maximum; resizes by cubic spline. 0.5 for a constant map; NaN if no negative
    is left.
    """
    unit, _ = _stretched(_spline_resized(saliency, shape))
    fixated = metrics.pixel_index(fixations, unit.shape)
    pool = metrics.pixel_index(negatives, unit.shape)
    pool = pool[~np.isin(pool, fixated)]
    if not fixated.size or not pool.size:
        return math.nan
    return _stepped_auc(unit.ravel()[fixated], unit.ravel()[pool], step, last=False)


def salicon_nss(saliency: ArrayLike, fixations: ArrayLike, shape: tuple[int, int] | None = None) -> float:
    """NSS with ``ddof=0``, NUS-VIP/salicon-evaluation@425922e:saliconeval/nss/nss.py.

    As :func:`dynsal.metrics.nss`, but 0 for a constant map.
    """
    grid = _spline_resized(saliency, shape)
    score = metrics.nss(grid, fixations)
    constant_map = math.isnan(score) and np.asarray(fixations).size > 0
    return 0.0 if constant_map else score


def salicon_cc(
    saliency: ArrayLike, fixations: ArrayLike, sigma: float = 19.0, shape: tuple[int, int] | None = None
) -> float:
    """Correlation with the blurred fixation map, NUS-VIP/salicon-evaluation@425922e:saliconeval/cc/cc.py.

    Takes fixations, not a density, because the blur is part of the definition: merged fixations, Gaussian of
    ``sigma`` pixels, mirrored borders. NaN for a constant map.
    """
    grid = _spline_resized(saliency, shape)
    binary = np.zeros(grid.shape)
    binary.flat[_pixels(fixations, grid)] = 1.0
    return metrics.cc(grid, ndimage.gaussian_filter(binary, sigma))


def salicon_filter(fixations: ArrayLike) -> NDArray[np.float64]:
    """Keep what SALICON keeps: of a point that occurs m times, m - 1 copies.

    Points seen once go. NUS-VIP/salicon-evaluation@425922e:saliconeval/eval.py
    """
    points = np.asarray(fixations, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"fixations: expected K x 2 with the columns x, y, found shape {points.shape}")
    ordered = points[np.lexsort(points.T)]
    return ordered[1:][np.all(ordered[1:] == ordered[:-1], axis=1)]


def _mean_stepped_auc(
    unit: NDArray[np.float64],
    fixated: NDArray[np.intp],
    draws: list[NDArray[np.intp]] | NDArray[np.intp],
    step: float,
) -> float:
    flat = unit.ravel()
    positives = flat[fixated]
    return float(np.mean([_stepped_auc(positives, flat[draw], step) for draw in draws]))


def _stepped_auc(
    positives: NDArray[np.float64], negatives: NDArray[np.float64], step: float, last: bool = True
) -> float:
    """Trapezoid area under the ROC curve at thresholds 0, step, 2 step, ... up to the largest value.

    ``last`` says whether a threshold equal to the largest value is used. All three code bases add the corner
    (0, 0); the corner (1, 1) comes from the threshold 0 or is added, which is the same, as no value is
    negative.
    """
    if not 0 < step < math.inf:
        raise ValueError(f"step: expected a positive number, found {step}")
    top = max(float(positives.max()), float(negatives.max()))
    if last:
        # Rounding must not lose the threshold at the maximum itself, nor lift it above: 3 * 0.1 > 0.3.
        thresholds = np.minimum(step * np.arange(math.floor(top / step * (1 + 1e-12)) + 1), top)
    else:
        thresholds = np.arange(0, top, step)
    curve = []
    for values in (negatives, positives):
        at_least = values.size - np.sort(values).searchsorted(thresholds[::-1], "left")
        curve.append(np.concatenate(([0.0], at_least / values.size, [1.0])))
    return float(np.trapezoid(curve[1], curve[0]))


def _stretched(saliency: ArrayLike) -> tuple[NDArray[np.float64], bool]:
    """Map the minimum to 0 and the maximum to 1; a constant map to 0, and say so."""
    grid = metrics.checked_map(saliency, "saliency")
    unit = metrics.unit_range(grid, "saliency")
    return (np.zeros(grid.shape), True) if unit is None else (unit, False)


def _spline_resized(saliency: ArrayLike, shape: tuple[int, int] | None) -> NDArray[Any]:
    grid = metrics.checked_map(saliency, "saliency")
    if shape is None or grid.shape == tuple(shape):
        return grid
    zoom = [new / old for old, new in zip(grid.shape, shape, strict=True)]
    return ndimage.zoom(grid.astype(np.float64), zoom, order=3)


def _pixels(points: ArrayLike, grid: NDArray[Any]) -> NDArray[np.intp]:
    """Flat positions of the pixels of a binary fixation map: duplicates merged."""
    return np.unique(metrics.pixel_index(points, grid.shape))


def _points(pixels: NDArray[np.intp], grid: NDArray[Any]) -> NDArray[np.float64]:
    rows, columns = np.divmod(pixels, grid.shape[1])
    return np.column_stack((columns, rows)).astype(np.float64)


def _generator(rng: Rng) -> np.random.Generator:
    return np.random.default_rng(0 if rng is None else rng)


def _positive(count: int, name: str) -> int:
    if count < 1:
        raise ValueError(f"{name}: expected at least 1, found {count}")
    return count
