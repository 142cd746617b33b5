"""The measures of still images: the exact ones of `dynsal.metrics`, and those of SALICON's evaluation server beside them.

The server's (`dynsal.legacy_metrics`, NUS-VIP/salicon-evaluation@425922e) are there because the paper's Table 3 quotes
them. What differs here: maps are scored at the size at which all others are, not enlarged to 640x480 first; so the blur
of its CC, 19 pixels there, shrinks with the width. Its rule that only points seen at least twice in an image count was
made for mouse samples, which repeat. Eye-tracking fixations do not, and it would leave none: it is for SALICON alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dynsal import legacy_metrics, metrics
from dynsal.gaze import Points
from dynsal.metrics import METRICS, MetricInfo

STILL_METRICS: dict[str, MetricInfo] = {
    info.name: info
    for info in (
        MetricInfo("auc_borji", "AUC-Borji (exact, against all pixels)", True, 0.0, 1.0, 0.5, "fixations"),
        METRICS["auc_judd"],
        METRICS["sauc"],
        METRICS["cc"],
        METRICS["nss"],
        METRICS["sim"],
        METRICS["kld"],
        METRICS["chi2"],
        MetricInfo("salicon_auc", "AUC-Borji (SALICON's code)", True, 0.0, 1.0, 0.5, "fixations"),
        MetricInfo("salicon_sauc", "sAUC (SALICON's code)", True, 0.0, 1.0, 0.5, "fixations and negatives"),
        MetricInfo("salicon_nss", "NSS (SALICON's code)", True, -math.inf, math.inf, 0.0, "fixations"),
        MetricInfo("salicon_cc", "CC (SALICON's code)", True, -1.0, 1.0, 0.0, "fixations"),
    )
}
"""Every metric of the score files of still images, in the order in which tables print them."""

SALICON_SIGMA, SALICON_WIDTH = 19.0, 640
"""Standard deviation in pixels of the blur of SALICON's CC, and the width of the images for which it was chosen."""


@dataclass(frozen=True)
class Truth:
    """What the map of one image is compared with; all points in pixels of the map, K x 2, columns x, y.

    Parameters
    ----------
    fixations, negatives
        Of this image and of others, multiplicity kept.
    density
        H x W float64, of the fixations, sum 1.
    salicon_fixations, salicon_negatives
        The same as SALICON's evaluation counts them (`salicon_points`); on negatives each image counts a pixel once.
    """

    fixations: Points
    negatives: Points
    density: NDArray[np.floating]
    salicon_fixations: Points
    salicon_negatives: Points


def score_still(saliency: NDArray[np.floating], truth: Truth, seed: int = 0) -> dict[str, float]:
    """Return every metric of :data:`STILL_METRICS` of one map.

    Parameters
    ----------
    saliency
        H x W, >= 0, positive sum.
    truth
        What it is compared with.
    seed
        Of the uniformly random pixels of ``salicon_auc``; with one seed all maps meet the same.

    Returns
    -------
    dict
        Name -> float; NaN where a metric has no value (`dynsal.metrics`), as the four of SALICON's evaluation if
        its rule leaves no fixation.
    """
    fixations, density = truth.fixations, truth.density
    theirs = truth.salicon_fixations
    return {
        "auc_borji": metrics.auc_uniform(saliency, fixations),
        "auc_judd": metrics.auc_judd(saliency, fixations),
        "sauc": metrics.sauc(saliency, fixations, truth.negatives),
        "cc": metrics.cc(saliency, density),
        "nss": metrics.nss(saliency, fixations),
        "sim": metrics.sim(saliency, density),
        "kld": metrics.kld(saliency, density),
        "chi2": metrics.chi2(saliency, density),
        "salicon_auc": legacy_metrics.salicon_auc(saliency, theirs, rng=seed),
        "salicon_sauc": legacy_metrics.salicon_sauc(saliency, theirs, truth.salicon_negatives),
        "salicon_nss": legacy_metrics.salicon_nss(saliency, theirs),
        "salicon_cc": legacy_metrics.salicon_cc(saliency, theirs, salicon_sigma(saliency.shape[1])),
    }


def salicon_sigma(width: int) -> float:
    """Return the standard deviation, in pixels of a map of this width, of the blur of SALICON's CC."""
    return SALICON_SIGMA * width / SALICON_WIDTH


def salicon_points(points: Points, mouse: bool) -> Points:
    """Return the points of one image that SALICON's evaluation counts.

    Parameters
    ----------
    points
        K x 2.
    mouse
        Whether they are mouse samples, of which those seen once go; eye-tracking fixations all stay.
    """
    return legacy_metrics.salicon_filter(points) if mouse else points


def merged_pixels(points: Points, size: tuple[int, int]) -> Points:
    """Return the pixels (width, height as ``size``) in which the points lie, each once, as K x 2 points."""
    pixels = np.unique(metrics.pixel_index(points, size[::-1]))
    rows, columns = np.divmod(pixels, size[0])
    return np.column_stack((columns, rows)).astype(np.float64)
