"""Blobs of a map, as Rudoy et al. take candidates from motion and saliency: samples, mean shift, Gaussian fits.

Coordinates are x, y in pixels, pixel centres at integers. Constants are those of the authors' release.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

Floats = NDArray[np.float64]

BANDWIDTH = 20.0
"""Radius of the flat kernel, pixels."""
LEAST_PEAK = 0.2
"""Smallest fitted peak, relative to the map's maximum."""
MOST = 5
"""Blobs that one map gives at most."""
_SMALLEST_SIGMA = 0.5
_MAX_STEPS = 300
_MAX_EVALUATIONS = 40


class Blobs(NamedTuple):
    """Gaussians found in one map, strongest first."""

    points: Floats
    """K x 2 centres, rounded to pixels."""
    sigmas: Floats
    """K x 2 standard deviations along x and y."""
    scores: Floats
    """Peak, relative to the largest."""


class Gaussian(NamedTuple):
    """An axis-aligned Gaussian: centre, standard deviations, height."""

    x: float
    y: float
    sx: float
    sy: float
    peak: float


def blobs(values: NDArray[np.floating], samples: int, rng: np.random.Generator) -> Blobs:
    """Return the strongest blobs of a map.

    ``samples`` pixels are drawn from the map as a distribution and mean-shifted; around every mode, in a
    window that reaches a quarter of the frame's height to all sides, a Gaussian is fitted. Those with a peak
    of at least `LEAST_PEAK` of the map's maximum and a centre inside the frame stay, at most `MOST`.

    Where the fit fails, the window's centre, its largest value and a sigma of height / 8 stand in. (The release
    means the same but adds the window's origin twice and squares the sigma twice.)

    Parameters
    ----------
    values
        H x W, finite, >= 0; a constant map has no blobs.
    samples
        Number of draws, with replacement.
    rng
        Source of the draws.
    """
    exact = np.asarray(values, np.float64)
    height, width = exact.shape
    found: list[Gaussian] = []
    if exact.max() > exact.min():
        counts = rng.multinomial(samples, (exact / exact.sum()).ravel()).reshape(exact.shape)
        fits = [_around(exact, x, y) for x, y in mean_shift(counts, BANDWIDTH)]
        found = [
            one
            for one in fits
            if one.peak >= LEAST_PEAK * exact.max()
            and 0 <= np.floor(one.x + 0.5) < width
            and 0 <= np.floor(one.y + 0.5) < height
        ]
        found = sorted(found, key=lambda one: -one.peak)[:MOST]
    table = np.array(found, np.float64).reshape(-1, 5)
    peaks = table[:, 4]
    return Blobs(np.floor(table[:, :2] + 0.5), table[:, 2:4], peaks / peaks.max(initial=0.0))


def mean_shift(counts: NDArray[np.integer], bandwidth: float) -> Floats:
    """Return the modes (M x 2: x, y) of points on a pixel grid, densest first.

    A flat kernel; seeds on a grid of one bandwidth, wherever a point rounds to; of modes nearer to each other than
    the bandwidth the denser stays. The result is that of scikit-learn's ``MeanShift(bin_seeding=True)`` on
    the points, but each step is a few look-ups per row of the disc in sums along the rows.

    Parameters
    ----------
    counts
        H x W number of points in each pixel.
    bandwidth
        Radius of the kernel.
    """
    rows, columns = np.nonzero(counts)
    if not len(rows):
        return np.empty((0, 2))
    points = np.column_stack([columns, rows])
    means = np.unique(np.round(points / bandwidth), axis=0) * bandwidth
    sums = _row_sums(counts)
    mass = np.zeros(len(means))
    moving = np.arange(len(means))
    for _ in range(_MAX_STEPS + 1):
        held = _disc_sums(sums, means[moving], bandwidth)
        mass[moving] = held[:, 0]
        moving, held = moving[held[:, 0] > 0], held[held[:, 0] > 0]
        shifted = held[:, 1:] / held[:, :1]
        steps = np.hypot(*(shifted - means[moving]).T)
        means[moving] = shifted
        moving = moving[steps > 1e-3 * bandwidth]
        if not len(moving):
            break
    return _thinned(means[mass > 0], mass[mass > 0], bandwidth)


def fit(window: Floats) -> Gaussian | None:
    """Return the least-squares Gaussian of a window, in its own coordinates; None if there is no sensible one.

    Levenberg-Marquardt from the window's moments. A fit counts as failed if it does not converge, if a sigma
    falls below half a pixel or exceeds four times the window's larger side, or if the peak is not positive.
    """
    start = _moments(window)
    if start is None:
        return None
    height, width = window.shape
    scale = window.max()
    across, down = np.arange(width), np.arange(height)
    target = window / scale

    def parts(p: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        dx, dy = (across - p[0]) / np.exp(p[2]), (down - p[1]) / np.exp(p[3])
        return dx, dy, np.exp(-0.5 * dx**2), np.exp(-0.5 * dy**2)

    def residuals(p: Floats) -> Floats:
        _, _, ex, ey = parts(p)
        return np.asarray(p[4] * np.outer(ey, ex) - target).ravel()

    def jacobian(p: Floats) -> Floats:
        dx, dy, ex, ey = parts(p)
        columns = [
            p[4] * np.outer(ey, ex * dx) / np.exp(p[2]),
            p[4] * np.outer(ey * dy, ex) / np.exp(p[3]),
            p[4] * np.outer(ey, ex * dx**2),
            p[4] * np.outer(ey * dy**2, ex),
            np.outer(ey, ex),
        ]
        return np.stack([column.ravel() for column in columns], axis=1)

    with np.errstate(over="ignore", invalid="ignore"):  # a fit that runs away is caught below
        try:
            done = least_squares(
                residuals, start, jac=jacobian, method="lm", xtol=1e-4, ftol=1e-6, max_nfev=_MAX_EVALUATIONS
            )
        except ValueError:  # a residual that is not finite
            return None
        x, y, sx, sy = done.x[0], done.x[1], np.exp(done.x[2]), np.exp(done.x[3])
    sensible = min(sx, sy) >= _SMALLEST_SIGMA and max(sx, sy) <= 4 * max(height, width)
    if not (done.success and sensible and done.x[4] > 0):
        return None
    return Gaussian(float(x), float(y), float(sx), float(sy), float(done.x[4] * scale))


def _around(values: Floats, x: float, y: float) -> Gaussian:
    height, width = values.shape
    reach = height / 4
    left, right = max(0, round(x - reach)), min(width - 1, round(x + reach))
    top, bottom = max(0, round(y - reach)), min(height - 1, round(y + reach))
    window = values[top : bottom + 1, left : right + 1]
    found = fit(window)
    if found is None:
        return Gaussian(
            (left + right) / 2, (top + bottom) / 2, height / 8, height / 8, float(window.max(initial=0.0))
        )
    return found._replace(x=found.x + left, y=found.y + top)


def _moments(window: Floats) -> Floats | None:
    """Return x, y, log sx, log sy and the peak (1, as the window is scaled); None if the window is too small or flat."""
    if min(window.shape) < 3 or window.max() <= window.min():
        return None
    weights = window - window.min()
    centre, spread = [], []
    for axis, size in ((0, window.shape[1]), (1, window.shape[0])):
        along = weights.sum(axis=axis) / weights.sum()
        places = np.arange(size)
        mean = float(along @ places)
        centre.append(mean)
        spread.append(max(1.0, float(np.sqrt(along @ (places - mean) ** 2))))
    return np.array([*centre, *np.log(spread), 1.0])


def _row_sums(counts: NDArray[np.integer]) -> Floats:
    """Return 2 x H x (W + 1): sums along the rows of the counts and of x times the counts, from the left, exclusive."""
    weighted = np.stack([counts, counts * np.arange(counts.shape[1])]).astype(np.float64)
    return np.pad(np.cumsum(weighted, axis=2), ((0, 0), (0, 0), (1, 0)))


def _disc_sums(sums: Floats, centres: Floats, radius: float) -> Floats:
    """Return per centre the number of points within the radius, and the sums of their x and y."""
    height, width = sums.shape[1], sums.shape[2] - 1
    x, y = centres[:, :1], centres[:, 1:]
    rows = np.ceil(y - radius) + np.arange(int(2 * radius) + 1)
    square = radius**2 - (rows - y) ** 2
    inside = (square >= 0) & (rows >= 0) & (rows < height)
    half = np.sqrt(np.maximum(square, 0))
    first = np.clip(np.ceil(x - half), 0, width).astype(int)
    last = np.clip(np.floor(x + half) + 1, first, width).astype(int)
    index = np.clip(rows, 0, height - 1).astype(int)
    held = np.where(inside, sums[:, index, last] - sums[:, index, first], 0.0)
    return np.column_stack([held[0].sum(axis=1), held[1].sum(axis=1), (held[0] * rows).sum(axis=1)])


def _thinned(modes: Floats, mass: Floats, distance: float) -> Floats:
    """Return the modes, densest first, without those within ``distance`` of a denser one that stays."""
    kept: list[Floats] = []
    for index in np.lexsort((-modes[:, 1], -modes[:, 0], -mass)):
        if all(np.hypot(*(modes[index] - other)) > distance for other in kept):
            kept.append(modes[index])
    return np.array(kept).reshape(-1, 2)
