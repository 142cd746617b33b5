"""How well a saliency map predicts where people looked: exact, deterministic, in float64.

Conventions of every function here:

* ``saliency`` and ``density`` are maps of height x width; ``fixations`` and ``negatives`` are K x 2 arrays
  with the columns x, y in pixels of that map, pixel centres at integers. A point reads the pixel that
  contains it, ``floor(x + 0.5)``; a point outside the map is an error. Repeated points count as often as they
  occur.
* Nothing is resized, stretched or drawn at random. ``sim``, ``kld`` and ``chi2`` divide by the sum, as their
  definitions say.
* Nonsense raises ``ValueError``: wrong shapes, maps of different sizes, NaN or infinite pixels, and in
  ``sim``, ``kld`` and ``chi2`` negative pixels or a sum of 0. NaN comes back only where the definition has no
  value: no fixations, no negatives, or a constant map in ``nss`` and ``cc``.

The variants of the MIT benchmark, of Borji's code and of SALICON, which differ from these and from one
another, are in :mod:`dynsal.legacy_metrics`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

KLD_EPSILON = float(np.finfo(np.float64).eps)
"""The constant in the MIT form of the KL divergence (Matlab's ``eps``)."""

_TINY = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True)
class MetricInfo:
    """What a table or a figure has to know about a metric.

    Parameters
    ----------
    name
        Column in the score files and tables.
    label
        How it is written for people; never just "AUC", which means something else in every paper.
    higher_is_better
        Direction of improvement.
    lower_bound, upper_bound
        Range of the metric.
    chance
        Expected score of a map that knows nothing, where that does not depend on the data; otherwise None.
    needs
        What it compares the map with.
    """

    name: str
    label: str
    higher_is_better: bool
    lower_bound: float
    upper_bound: float
    chance: float | None
    needs: Literal["fixations", "fixations and negatives", "density"]


METRICS: dict[str, MetricInfo] = {
    info.name: info
    for info in (
        MetricInfo("sauc", "sAUC", True, 0.0, 1.0, 0.5, "fixations and negatives"),
        MetricInfo("sauc_same_video", "sAUC (same video)", True, 0.0, 1.0, 0.5, "fixations and negatives"),
        MetricInfo("chi2", "chi-square", False, 0.0, 1.0, None, "density"),
        MetricInfo("auc_judd", "AUC-Judd", True, 0.0, 1.0, 0.5, "fixations"),
        MetricInfo("nss", "NSS", True, -math.inf, math.inf, 0.0, "fixations"),
        MetricInfo("cc", "CC", True, -1.0, 1.0, 0.0, "density"),
        MetricInfo("sim", "SIM", True, 0.0, 1.0, None, "density"),
        MetricInfo("kld", "KLD", False, 0.0, math.inf, None, "density"),
    )
}
"""Every metric of the score files, in the order in which tables print them."""


def sauc(saliency: ArrayLike, fixations: ArrayLike, negatives: ArrayLike) -> float:
    """Shuffled AUC: the chance that a fixation outscores a negative, ties counting one half.

    The exact Mann-Whitney form. Negatives are other frames' or other videos' fixations
    (:mod:`dynsal.pools`), so that a centre-biased map gains nothing.

    Range 0 to 1; 0.5 for a constant map; NaN without fixations or without negatives.
    """
    grid = checked_map(saliency, "saliency")
    flat = grid.ravel()
    return auc(flat[pixel_index(fixations, grid.shape)], flat[pixel_index(negatives, grid.shape)])


def auc_judd(saliency: ArrayLike, fixations: ArrayLike) -> float:
    """AUC of the fixations against every pixel that nobody fixated.

    The exact rank form: ties count one half instead of being broken by jitter.

    Range 0 to 1; 0.5 for a constant map; NaN without fixations or if every pixel is fixated.
    """
    grid = checked_map(saliency, "saliency")
    flat = grid.ravel()
    fixated = pixel_index(fixations, grid.shape)
    others = np.ones(flat.size, dtype=bool)
    others[fixated] = False
    return auc(flat[fixated], flat[others])


def auc_uniform(saliency: ArrayLike, fixations: ArrayLike) -> float:
    """AUC of the fixations against every pixel, those that somebody fixated included.

    The exact rank form, ties counting one half. This is what Borji's AUC, which draws its negatives uniformly at
    random, tends to with many draws and small steps (`dynsal.legacy_metrics.mit_auc_borji`, ``salicon_auc``).

    Range 0 to 1; 0.5 for a constant map; NaN without fixations.
    """
    grid = checked_map(saliency, "saliency")
    flat = grid.ravel()
    return auc(flat[pixel_index(fixations, grid.shape)], flat)


def nss(saliency: ArrayLike, fixations: ArrayLike) -> float:
    """Normalised scanpath saliency: mean z-score of the map at the fixations.

    The standard deviation is the population's (``ddof=0``); the MIT code uses ``ddof=1``.

    Any real number, chance 0; NaN without fixations or for a constant map.
    """
    grid = checked_map(saliency, "saliency")
    fixated = pixel_index(fixations, grid.shape)
    unit = unit_range(grid, "saliency")
    if unit is None or not fixated.size:
        return math.nan
    return float((unit.ravel()[fixated].mean() - unit.mean()) / unit.std())


def cc(saliency: ArrayLike, density: ArrayLike) -> float:
    """Pearson's correlation of two maps.

    Range -1 to 1; NaN if either map is constant.
    """
    first, second = _checked_pair(saliency, density)
    a, b = unit_range(first, "saliency"), unit_range(second, "density")
    if a is None or b is None:
        return math.nan
    a -= a.mean()
    b -= b.mean()
    correlation = float(np.vdot(a, b)) / math.sqrt(float(np.vdot(a, a)) * float(np.vdot(b, b)))
    return min(1.0, max(-1.0, correlation))


def sim(saliency: ArrayLike, density: ArrayLike) -> float:
    """Similarity: the mass that two distributions share, ``sum(min(p, q))``.

    Not the MIT form, which stretches both maps to their minimum and maximum first.

    Range 0 to 1; 1 for equal distributions.
    """
    p, q = _distributions(saliency, density)
    return min(1.0, float(np.minimum(p, q, out=p).sum()))


def kld(saliency: ArrayLike, density: ArrayLike) -> float:
    """Kullback-Leibler divergence from the saliency to the density, in nats, MIT form.

    ``sum(q * log(eps + q / (p + eps)))`` with p the saliency and q the density, each divided by its sum.

    0 (up to rounding) for equal distributions, larger otherwise.
    """
    p, q = _distributions(saliency, density)  # fresh arrays, so the arithmetic may reuse them
    p += KLD_EPSILON
    np.divide(q, p, out=p)
    p += KLD_EPSILON
    return float(np.vdot(q, np.log(p, out=p)))


def chi2(saliency: ArrayLike, density: ArrayLike) -> float:
    """Symmetric chi-square distance of two distributions, ``sum((p - q)^2 / (p + q)) / 2``.

    Pixels where both are 0 count 0. With TV the total variation distance, ``TV^2 <= chi2 <= TV = 1 - sim``.

    0 for equal distributions to 1 for disjoint ones.
    """
    p, q = _distributions(saliency, density)
    difference = p - q
    p += q
    # Where both are 0 the difference is 0 too, so any positive denominator gives the 0 wanted.
    np.divide(difference, np.maximum(p, _TINY, out=p), out=p)
    return min(1.0, 0.5 * float(np.vdot(p, difference)))


def auc(positive_values: ArrayLike, negative_values: ArrayLike) -> float:
    """Area under the ROC curve of two samples: the Mann-Whitney statistic over the number of pairs.

    The rank statistic under ``sauc`` and ``auc_judd``, for callers that read the map once for several
    metrics.

    Parameters
    ----------
    positive_values, negative_values
        One-dimensional samples of the map; the order is irrelevant.

    Returns
    -------
    float
        0 to 1; NaN if either sample is empty.
    """
    positives, negatives = np.sort(_sample(positive_values)), np.sort(_sample(negative_values))
    if not positives.size or not negatives.size:
        return math.nan
    # NaN sorts last, so one comparison each finds it.
    if positives[-1] != positives[-1] or negatives[-1] != negatives[-1]:
        raise ValueError("values contain NaN, which has no rank")
    below = negatives.searchsorted(positives, "left").sum()
    below_or_equal = negatives.searchsorted(positives, "right").sum()
    # Integers up to here: the score is one correctly rounded division.
    return int(below + below_or_equal) / (2 * positives.size * negatives.size)


def values_at(saliency: ArrayLike, points: ArrayLike) -> NDArray[Any]:
    """Read a map at points.

    Parameters
    ----------
    saliency
        Map of height x width.
    points
        K x 2 points, columns x, y.

    Returns
    -------
    ndarray
        K values of the map's own type.
    """
    grid = checked_map(saliency, "saliency")
    return grid.ravel()[pixel_index(points, grid.shape)]


def pixel_index(points: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.intp]:
    """Positions, in the flattened map, of the pixels that contain the points.

    Compute it once for points that many frames share; then ``map.ravel()[index]`` reads them.

    Parameters
    ----------
    points
        K x 2 points, columns x, y; pixel (i, j) covers [i - 0.5, i + 0.5) x [j - 0.5, j + 0.5).
    shape
        Height and width of the map.

    Returns
    -------
    ndarray
        K indices.

    Raises
    ------
    ValueError
        If a point lies outside the map or is not finite, naming how many do.
    """
    height, width = shape
    shifted = np.asarray(points, dtype=np.float64) + 0.5
    if shifted.size == 0:
        return np.empty(0, dtype=np.intp)
    if shifted.ndim != 2 or shifted.shape[1] != 2:
        raise ValueError(f"points: expected K x 2 with the columns x, y, found shape {shifted.shape}")
    x, y = shifted[:, 0], shifted[:, 1]
    # Written so that NaN, which compares false, counts as outside.
    if not (shifted.min() >= 0 and x.max() < width and y.max() < height):
        outside = np.count_nonzero(~((x >= 0) & (x < width) & (y >= 0) & (y < height)))
        raise ValueError(
            f"{outside} of {len(shifted)} points lie outside the map of width {width} x height {height} "
            "(columns must be x, y in pixels)"
        )
    pixel = shifted.astype(np.intp)  # truncation is floor, as nothing is negative
    index: NDArray[np.intp] = pixel[:, 1] * width + pixel[:, 0]
    return index


def checked_map(values: ArrayLike, name: str) -> NDArray[Any]:
    """Return a map as an array of its own numeric type, or say what is wrong with it.

    Parameters
    ----------
    values
        What should be a map of height x width.
    name
        What to call it in the message.

    Raises
    ------
    ValueError
        If it is not two-dimensional, is empty, is not numeric, or holds NaN or infinity.
    """
    grid = np.asarray(values)
    if grid.ndim != 2 or not grid.size:
        raise ValueError(f"{name}: expected a map of height x width, found shape {grid.shape}")
    _require_numbers(grid, name)
    finite = np.isfinite(grid)
    if not finite.all():
        raise ValueError(
            f"{name}: {grid.size - np.count_nonzero(finite)} of {grid.size} pixels are not finite"
        )
    return grid


def unit_range(grid: NDArray[Any], name: str) -> NDArray[np.float64] | None:
    """Stretch a checked map to [0, 1]; None if it is constant.

    No z-score changes by that, but variances can no longer underflow.
    """
    values = grid.astype(np.float64, order="C")
    low, high = float(values.min()), float(values.max())
    if low == high:
        return None
    if not math.isfinite(high - low):
        raise ValueError(f"{name}: the range {low:g} to {high:g} is too wide for float64")
    values -= low
    values /= high - low
    return values


def _checked_pair(saliency: ArrayLike, density: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    first, second = checked_map(saliency, "saliency"), checked_map(density, "density")
    if first.shape != second.shape:
        raise ValueError(f"saliency is {first.shape} (height, width) but density is {second.shape}")
    return first, second


def _distributions(
    saliency: ArrayLike, density: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    first, second = _checked_pair(saliency, density)
    return _distribution(first, "saliency"), _distribution(second, "density")


def _distribution(grid: NDArray[Any], name: str) -> NDArray[np.float64]:
    mass = grid.astype(np.float64, order="C")  # one layout, so that sums round alike
    if mass.min() < 0:
        raise ValueError(
            f"{name}: {np.count_nonzero(mass < 0)} of {mass.size} pixels are negative; "
            "a distribution needs values >= 0"
        )
    with np.errstate(over="ignore"):
        total = mass.sum()
    if not 0 < total < math.inf:
        raise ValueError(f"{name}: the sum is {total:g}; a distribution needs a positive, finite one")
    mass /= total
    return mass


def _sample(values: ArrayLike) -> NDArray[Any]:
    sample = np.asarray(values)
    if sample.ndim != 1:
        raise ValueError(f"values: expected one dimension, found shape {sample.shape}")
    _require_numbers(sample, "values")
    return sample


def _require_numbers(array: NDArray[Any], name: str) -> None:
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name}: expected numbers, found {array.dtype}")
