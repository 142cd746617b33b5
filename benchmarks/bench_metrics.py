"""Time of the shuffled AUC per frame, beside the least that numpy needs for the same arithmetic.

``python benchmarks/bench_metrics.py`` prints microseconds per frame (medians over repeats) and the ratio.
"""

from __future__ import annotations

import argparse
import statistics
import timeit
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynsal import metrics


def median_us(function: Callable[[], object], repeats: int, number: int) -> float:
    """Median over repeats of the mean time of one call, in microseconds."""
    return 1e6 * statistics.median(timeit.repeat(function, repeat=repeats, number=number)) / number


def limit(saliency: NDArray[Any], fixations: NDArray[np.float64], negatives: NDArray[np.float64]) -> float:
    """Compute the shuffled AUC with bare numpy and no validation: lookup, sort, two searches."""
    f = np.floor(fixations + 0.5).astype(np.intp)
    n = np.floor(negatives + 0.5).astype(np.intp)
    positive = saliency[f[:, 1], f[:, 0]]
    negative = np.sort(saliency[n[:, 1], n[:, 0]])
    ranks = np.searchsorted(negative, positive, "left") + np.searchsorted(negative, positive, "right")
    return float(ranks.sum() / (2 * len(positive) * len(negative)))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--height", type=int, default=120)
    parser.add_argument("--width", type=int, default=160)
    parser.add_argument("--fixations", type=int, default=45)
    parser.add_argument("--negatives", type=int, default=600)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--number", type=int, default=500, help="calls per repeat")
    args = parser.parse_args()

    rng = np.random.default_rng(0)
    size = np.array([args.width, args.height]) - 1
    fixations = rng.random((args.fixations, 2)) * size
    negatives = rng.random((args.negatives, 2)) * size

    print(
        f"map {args.width}x{args.height}, {args.fixations} fixations, {args.negatives} negatives; us a frame"
    )
    print(f"{'':26}{'limit':>9}{'sauc':>9}{'ratio':>7}{'map check':>11}{'auc_judd':>10}{'nss':>8}{'chi2':>8}")
    for dtype in (np.float32, np.float64):
        saliency = rng.random((args.height, args.width)).astype(dtype)
        density = rng.random((args.height, args.width)).astype(dtype)

        assert limit(saliency, fixations, negatives) == metrics.sauc(saliency, fixations, negatives)
        calls: dict[str, Callable[[], object]] = {
            "limit": partial(limit, saliency, fixations, negatives),
            "sauc": partial(metrics.sauc, saliency, fixations, negatives),
            "check": partial(metrics.checked_map, saliency, "saliency"),
            "auc_judd": partial(metrics.auc_judd, saliency, fixations),
            "nss": partial(metrics.nss, saliency, fixations),
            "chi2": partial(metrics.chi2, saliency, density),
        }
        us = {name: median_us(call, args.repeats, args.number) for name, call in calls.items()}
        print(
            f"{np.dtype(dtype).name:26}{us['limit']:9.1f}{us['sauc']:9.1f}{us['sauc'] / us['limit']:7.2f}"
            f"{us['check']:11.1f}{us['auc_judd']:10.1f}{us['nss']:8.1f}{us['chi2']:8.1f}"
        )


if __name__ == "__main__":
    main()
