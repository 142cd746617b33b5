"""From scores of single frames to numbers in a table: means over videos and bootstrap intervals.

A table of scores has one row per frame, with the columns ``model``, ``seed``, ``video``, ``frame`` and one
per metric; a frame without a valid score holds NaN. The headline number is frame -> mean over the video's
valid frames -> mean over its seeds -> mean over videos, because frames of one video are nearly the same
observation: the sample size is the number of videos.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

KEYS = ["model", "seed", "video", "frame"]

_BLOCK = 1 << 22
"""Rows drawn at once."""


def common_frames(scores: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """Keep the frames that every model and seed could score, so that all are compared on the same frames.

    Parameters
    ----------
    scores
        One row per model, seed, video and frame.
    metrics
        A frame counts as scored by a run if at least one of these has a value there (a constant map has no NSS).
    """
    _require(scores, metrics)
    runs = scores[["model", "seed"]].drop_duplicates().shape[0]
    scored = scores[list(metrics)].notna().any(axis=1)
    by_frame = scored.groupby([scores["video"], scores["frame"]]).transform("sum")
    return scores[by_frame == runs]


def video_means(scores: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """Average over the valid frames of each video.

    Parameters
    ----------
    scores
        One row per model, seed, video and frame.
    metrics
        Columns to average.

    Returns
    -------
    DataFrame
        One row per model, seed and video (columns, sorted): the means, ``n_frames`` (with a valid score),
        ``n_skipped`` (without any) and ``<metric>_nan``, the frames that this metric alone or with others
        lacks. The mean of a video without any valid frame is NaN.
    """
    _require(scores, metrics)
    names = list(metrics)
    missing = scores[names].isna()
    marked = pd.concat(
        [
            scores[KEYS[:3]],
            (~missing.all(axis=1)).rename("n_frames"),
            missing.all(axis=1).rename("n_skipped"),
            missing.add_suffix("_nan"),
        ],
        axis=1,
    )
    counts = marked.groupby(KEYS[:3]).sum()
    return pd.concat([scores.groupby(KEYS[:3])[names].mean(), counts], axis=1).reset_index()


def by_video(means: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Arrange the means of one metric as videos x models, averaged over seeds; both sorted by name.

    A seed without a value (NaN) is left out of the average. Where a model has no value at all for a video,
    the result is NaN.
    """
    return means.groupby(["video", "model"])[metric].mean().unstack("model").sort_index().sort_index(axis=1)


@dataclass(frozen=True)
class Estimate:
    """Means over videos with percentile intervals, one entry per model.

    Parameters
    ----------
    mean
        Mean over the videos that have a value; NaN if none has.
    low, high
        Bounds of the interval; NaN with fewer than 2 such videos, which say nothing about the spread.
    n_videos
        Number of videos that have a value.
    """

    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    n_videos: NDArray[np.int64]


def bootstrap_means(values: ArrayLike, n_resamples: int, seed: int, level: float = 0.95) -> Estimate:
    """Mean of each column with a percentile bootstrap interval, rows being resampled for all columns at once.

    The resamples depend on the seed and the number of rows only, so that every column (and every call with as
    many rows) sees the same ones, and a column's result does not depend on the columns beside it.

    Parameters
    ----------
    values
        Videos x models; NaN where a model has no value for a video, which then does not count for it.
    n_resamples
        Number of resamples.
    seed
        Seed of the resampling.
    level
        Coverage of the interval.
    """
    if not 0 < level < 1:
        raise ValueError(f"expected 0 < level < 1, found {level}")
    table = np.asarray(values, dtype=np.float64)
    resampled = resampled_means(table, n_resamples, seed)
    tail = (1 - level) / 2
    estimate = np.full((3, table.shape[1]), np.nan)
    n_videos = np.count_nonzero(~np.isnan(table), axis=0)
    for column, n_valid in enumerate(n_videos):
        sample, means = table[:, column], resampled[:, column]
        if n_valid:
            estimate[0, column] = sample[~np.isnan(sample)].mean()
        if n_valid > 1:
            estimate[1:, column] = np.quantile(means[~np.isnan(means)], [tail, 1 - tail])
    return Estimate(estimate[0], estimate[1], estimate[2], n_videos.astype(np.int64))


def resampled_means(values: ArrayLike, n_resamples: int, seed: int) -> NDArray[np.float64]:
    """Mean of each column over each bootstrap resample of the rows, n_resamples x columns.

    Parameters
    ----------
    values, n_resamples, seed
        As for :func:`bootstrap_means`.

    Returns
    -------
    ndarray
        NaN where a resample has no row with a value.
    """
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or not len(table):
        raise ValueError(f"values: expected videos x models with at least 1 video, found shape {table.shape}")
    if np.isinf(table).any():
        raise ValueError(f"values: {np.count_nonzero(np.isinf(table))} are infinite")
    if n_resamples < 1:
        raise ValueError(f"expected n_resamples >= 1, found {n_resamples}")
    generator = np.random.default_rng(seed)
    valid = ~np.isnan(table)
    filled = np.where(valid, table, 0.0)
    means = np.full((n_resamples, table.shape[1]), np.nan)
    # In blocks, as thousands of images times thousands of resamples take gigabytes; the draws are the same.
    block = max(1, _BLOCK // len(table))
    for start in range(0, n_resamples, block):
        part = means[start : start + block]
        rows = generator.integers(len(table), size=(len(part), len(table)))
        # Column by column: a sum over a whole matrix may round differently with other columns beside it.
        for column in range(table.shape[1]):
            weight = valid[:, column][rows].sum(axis=1)
            total = filled[:, column][rows].sum(axis=1)
            np.divide(total, weight, out=part[:, column], where=weight > 0)
    return means


def paired_differences(
    values: ArrayLike, reference: int, n_resamples: int, seed: int, level: float = 0.95
) -> Estimate:
    """Mean difference of each column from a reference column, over the videos that both have, with intervals.

    Parameters
    ----------
    values
        Videos x models, as for :func:`bootstrap_means`.
    reference
        Index of the column to compare with; its own difference is exactly 0.
    n_resamples, seed, level
        As for :func:`bootstrap_means`: the same resamples.
    """
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or not 0 <= reference < table.shape[1]:
        raise ValueError(f"reference: no column {reference} in values of shape {table.shape}")
    return bootstrap_means(table - table[:, [reference]], n_resamples, seed, level)


def frame_statistics(scores: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """Mean and median over all valid frames of all videos, seeds being averaged within a frame first.

    Beside the headline, for comparison with papers that weight videos by their length or report medians.

    Returns
    -------
    DataFrame
        One row per model (index, sorted), columns ``<metric>_frame_mean`` and ``<metric>_frame_median``.
    """
    _require(scores, metrics)
    per_frame = scores.groupby(["model", "video", "frame"])[list(metrics)].mean()
    grouped = per_frame.groupby("model")
    both = [grouped.mean().add_suffix("_frame_mean"), grouped.median().add_suffix("_frame_median")]
    return pd.concat(both, axis=1)[[f"{m}_frame_{kind}" for m in metrics for kind in ("mean", "median")]]


def summarise(
    scores: pd.DataFrame, metrics: Sequence[str], n_resamples: int, seed: int, level: float = 0.95
) -> pd.DataFrame:
    """Everything that a table says about each model.

    Parameters
    ----------
    scores
        One row per model, seed, video and frame; models should have the same frames (:func:`common_frames`).
    metrics
        Columns to summarise.
    n_resamples, seed, level
        As for :func:`bootstrap_means`; all models and metrics see the same resamples of videos.

    Returns
    -------
    DataFrame
        One row per model (index, sorted): ``seeds``, ``n_videos`` (with a valid frame), ``n_frames`` (with a
        valid score), ``n_skipped`` (frames without), then for each metric m the headline ``m``, its interval
        ``m_lo`` and ``m_hi``, ``m_frame_mean`` and ``m_frame_median``. A frame counts once, however many
        seeds scored it.
    """
    means = video_means(scores, metrics)
    scored = scores[list(metrics)].notna().any(axis=1)
    frames = (
        scored.groupby([scores["model"], scores["video"], scores["frame"]])
        .any()
        .rename("valid")
        .reset_index()
    )
    valid = frames[frames["valid"]].groupby("model")
    summary = pd.DataFrame({"seeds": scores.groupby("model")["seed"].nunique()})
    summary["n_videos"] = valid["video"].nunique()
    summary["n_frames"] = valid.size()
    summary["n_skipped"] = (~frames["valid"]).groupby(frames["model"]).sum()
    summary = summary.fillna(0).astype(np.int64)
    weighted = frame_statistics(scores, metrics)
    for metric in metrics:
        values = by_video(means, metric)
        estimate = bootstrap_means(values.to_numpy(), n_resamples, seed, level)
        for name, column in (("", estimate.mean), ("_lo", estimate.low), ("_hi", estimate.high)):
            summary[metric + name] = pd.Series(column, index=values.columns)
        for name in ("_frame_mean", "_frame_median"):
            summary[metric + name] = weighted[metric + name]
    return summary


def _require(scores: pd.DataFrame, metrics: Sequence[str]) -> None:
    missing = [name for name in [*KEYS, *metrics] if name not in scores.columns]
    if missing:
        raise ValueError(f"scores lack the column(s) {', '.join(missing)}")
    repeated = int(scores.duplicated(KEYS).sum())
    if repeated:
        raise ValueError(f"{repeated} row(s) repeat a combination of {', '.join(KEYS)}")
    infinite = [name for name in metrics if np.isinf(scores[name].to_numpy(dtype=np.float64)).any()]
    if infinite:
        raise ValueError(f"infinite scores in {', '.join(infinite)}")
