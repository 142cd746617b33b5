"""Do metrics agree on which model is better? Rank correlations between them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from dynsal.metrics import METRICS

LEAST = 3
"""Models with both metrics that a video must have to enter :func:`within_videos`."""


def oriented(table: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Return the metrics of a table, those of which less is better with the other sign."""
    signs = pd.Series({name: 1.0 if METRICS[name].higher_is_better else -1.0 for name in names})
    return table[list(names)].mul(signs)


def pooled(table: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Return Spearman's rank correlations between metrics over all rows, of those that have both; NaN where constant.

    Parameters
    ----------
    table
        Rows per model and video.
    names
        Metrics: keys of :data:`dynsal.metrics.METRICS`. Those of which less is better count as their negative, so
        that 1 is agreement.
    """
    return oriented(table, names).corr(method="spearman")


def within_videos(table: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Return the mean over videos of the rank correlations over models in one video.

    This leaves out that some videos are hard by every metric. Arguments as for :func:`pooled`, with the column video.
    A correlation that has no value in a video (fewer than three models, or all alike) does not enter the mean.
    """
    found = [
        oriented(rows, names).corr(method="spearman", min_periods=LEAST).to_numpy()
        for _, rows in table.groupby("video", sort=False)
    ]
    stack = np.stack(found)
    counts = np.isfinite(stack).sum(axis=0)
    means = np.where(counts > 0, np.nansum(stack, axis=0) / np.maximum(counts, 1), np.nan)
    return pd.DataFrame(means, index=list(names), columns=list(names))
