"""Table 3: models on still images, the printed figures beside them, and what the net's parts contribute.

The sample are the images: each counts as a video does in the other tables. The printed figures come from SALICON's
evaluation server and its unpublished test labels, and all rows but the first are the leaderboard's, so none of them is
comparable with what is measured here. Rows that are printed but not computed stand in the table as `quoted`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from dynsal import tables
from dynsal.config import TableConfig
from dynsal.statistics import bootstrap_means, common_frames, resampled_means
from dynsal.still_metrics import STILL_METRICS

PRINTED = ("auc", "sauc", "cc")
"""Measures of the paper's Table 3. "AUC" there is the server's, with uniformly random negatives."""

FORM = tables.Form(
    metrics=STILL_METRICS,
    counts={"n_images": "images", "n_skipped": "skipped"},
    wide=("auc_borji", "sauc", "cc"),
    printed=PRINTED,
    heading="printed, on SALICON's test set: AUC-Borji / sAUC / CC",
)

SUBJECT = "early"
"""The row whose parts are examined: the two-stream net, fine-tuned with predicted flow."""
ABLATIONS = {
    "early_no_motion": "predicted motion",
    "spatial": "the second stream",
    "early_scratch": "training on videos first",
}
"""Row -> what it lacks that the subject has."""
DECISIVE, SUPPORTING = "sauc", ("cc", "nss")
"""The measure that decides a verdict, and those that are named beside it."""
RULE = (
    "a difference counts if its 95 % interval is clear of 0; sAUC decides, CC and NSS are named where they count. The "
    "interval is over images and seeds where there are several seeds (few seeds make it rough), else over images"
)

_COUNTS = ["seeds", "n_videos", "n_images", "n_frames", "n_skipped"]


def load_scores(results: Path, runs: Mapping[str, Sequence[int]], shards: Sequence[str]) -> pd.DataFrame:
    """Read the score files of rows, seeds and shards as `dynsal.tables` does, with ``video`` the name of the image.

    Raises
    ------
    DataError
        If a file is missing, cannot be read, or lacks a column.
    ValueError
        Later, by whatever aggregates them, if two images have one name.
    """
    scores = tables.load_scores(results, runs, shards, STILL_METRICS, also=["image"])
    return scores.assign(video=scores["image"], frame=0)


def table(
    scores: pd.DataFrame,
    order: Sequence[str],
    dataset: str,
    config: TableConfig,
    paper: pd.DataFrame,
    baselines: Collection[str] = (),
) -> pd.DataFrame:
    """Return one row per model in the given order, then the printed ones that were not computed.

    Parameters
    ----------
    scores
        As `load_scores` returns them.
    order
        Rows.
    dataset
        Its name.
    config
        Of the bootstrap over images.
    paper
        Columns model, auc, sauc, cc: the printed figures.
    baselines
        Those of the rows that are baselines.

    Returns
    -------
    DataFrame
        ``dataset, model, kind, seeds, n_videos, n_images`` (the same number)``, n_frames, n_skipped``; ``m, m_lo,
        m_hi`` for each metric m; ``paper_auc, paper_sauc, paper_cc, paper_comparable`` (always False).
    """
    measured = tables.summary(scores, order, dataset, config, baselines, STILL_METRICS)
    measured.insert(list(measured.columns).index("n_videos") + 1, "n_images", measured["n_videos"])
    # Over images that count once each, these repeat the headline.
    measured = measured.drop(columns=[name for name in map(str, measured.columns) if "_frame_" in name])
    absent = [name for name in paper["model"] if name not in set(order)]
    quoted = pd.DataFrame({"dataset": dataset, "model": absent, "kind": "quoted"})
    rows = pd.concat([measured.astype(dict.fromkeys(_COUNTS, "Int64")), quoted], ignore_index=True)
    printed = paper.set_index("model").reindex(rows["model"]).reset_index(drop=True)
    for name in PRINTED:
        rows[f"paper_{name}"] = printed[name]
    return rows.assign(paper_comparable=False)


def differences(scores: pd.DataFrame, order: Sequence[str], config: TableConfig) -> pd.DataFrame:
    """Return the paired difference over images of every two rows in every metric."""
    found = tables.differences(scores, order, config, STILL_METRICS)
    return found.rename(columns={"n_videos": "n_images"})


def per_image(scores: pd.DataFrame, order: Sequence[str]) -> pd.DataFrame:
    """Return the scores of every model, seed and image that all rows have."""
    found = tables.per_video(scores, order, STILL_METRICS)
    return found[["model", "seed", "video", *STILL_METRICS]].rename(columns={"video": "image"})


def ablation(scores: pd.DataFrame, config: TableConfig) -> pd.DataFrame:
    """Return what the subject gains over the rows that lack one of its parts, in every metric.

    Seeds are averaged within an image first; ``lo`` and ``hi`` come from resampling the images. ``seeds_lo`` and
    ``seeds_hi`` come from resampling images and seeds, a seed of the subject staying with the same seed of the other
    row, from which they started alike; NaN if the rows do not share two seeds or more.

    Parameters
    ----------
    scores
        As `load_scores` returns them; rows of `ABLATIONS` that are absent are left out.
    config
        Of the bootstrap.

    Returns
    -------
    DataFrame
        One row per comparison and metric: ``part, model, reference, metric, difference`` (model minus reference)``,
        lo, hi, seeds_lo, seeds_hi, n_images, n_seeds``; empty without the subject.
    """
    shared = common_frames(scores, list(STILL_METRICS))
    present = set(shared["model"])
    rows = []
    for reference, part in ABLATIONS.items():
        if not {SUBJECT, reference} <= present:
            continue
        for metric in STILL_METRICS:
            values = shared.pivot(index="video", columns=["model", "seed"], values=metric).sort_index()
            ours, theirs = (pd.DataFrame(values[name]) for name in (SUBJECT, reference))
            gap = (ours.mean(axis=1) - theirs.mean(axis=1)).to_numpy()
            estimate = bootstrap_means(gap[:, None], config.resamples, config.seed)
            seeds = sorted(set(ours.columns) & set(theirs.columns))
            low, high = _over_seeds((ours[seeds] - theirs[seeds]).to_numpy(), config)
            rows.append(
                {
                    "part": part,
                    "model": SUBJECT,
                    "reference": reference,
                    "metric": metric,
                    "difference": estimate.mean[0],
                    "lo": estimate.low[0],
                    "hi": estimate.high[0],
                    "seeds_lo": low,
                    "seeds_hi": high,
                    "n_images": estimate.n_videos[0],
                    "n_seeds": len(seeds),
                }
            )
    columns = ["part", "model", "reference", "metric", "difference", "lo", "hi", "seeds_lo", "seeds_hi"]
    return pd.DataFrame(rows, columns=[*columns, "n_images", "n_seeds"])


def verdicts(found: pd.DataFrame) -> dict[str, str]:
    """Return part -> what its comparison says in plain words, by `RULE`.

    Parameters
    ----------
    found
        As `ablation` returns it.
    """
    said = {}
    for part, rows in found.groupby("part", sort=False):
        by_metric = {row["metric"]: row for _, row in rows.iterrows()}
        decided = _sign(by_metric[DECISIVE])
        named = {name: _sign(by_metric[name]) for name in SUPPORTING}
        figures = ", ".join(_figures(by_metric[name]) for name in (DECISIVE, *SUPPORTING))
        said[str(part)] = f"{_words(decided, named)} ({figures})"
    return said


def _over_seeds(gaps: np.ndarray, config: TableConfig) -> tuple[float, float]:
    """Return the 95 % interval of the mean of images x seeds when both are resampled."""
    n_seeds = gaps.shape[1]
    if n_seeds < 2 or np.isnan(gaps).all():
        return np.nan, np.nan
    means = resampled_means(gaps, config.resamples, config.seed)
    drawn = np.random.default_rng((config.seed, n_seeds)).integers(n_seeds, size=means.shape)
    low, high = np.nanquantile(np.take_along_axis(means, drawn, axis=1).mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def _interval(row: pd.Series) -> tuple[float, float]:
    over_seeds = row["seeds_lo"], row["seeds_hi"]
    return (row["lo"], row["hi"]) if np.isnan(over_seeds[0]) else over_seeds


def _sign(row: pd.Series) -> int:
    """Return 1 or -1 if the interval is clear of 0, else 0."""
    low, high = _interval(row)
    return int(low > 0) - int(high < 0)


def _words(decided: int, named: Mapping[str, int]) -> str:
    kinds = {1: "a gain", -1: "a loss"}
    label = {name: STILL_METRICS[name].label for name in (DECISIVE, *named)}
    same = [label[name] for name, sign in named.items() if sign and sign == decided]
    rest = [f"{kinds[sign]} in {label[name]}" for name, sign in named.items() if sign and sign != decided]
    if decided:
        words = f"{kinds[decided]} in {', '.join([label[DECISIVE], *same])}"
    else:
        words = "no measurable gain" + (f" in {label[DECISIVE]}" if rest else "")
    return words + (f", but {', '.join(rest)}" if rest else "")


def _figures(row: pd.Series) -> str:
    low, high = _interval(row)
    return f"{STILL_METRICS[row['metric']].label} {row['difference']:+.3f} [{low:+.3f}, {high:+.3f}]"
