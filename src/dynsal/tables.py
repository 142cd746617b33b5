"""Tables, from score files only."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from dynsal.config import TableConfig
from dynsal.errors import DataError
from dynsal.metrics import METRICS, MetricInfo
from dynsal.statistics import by_video, common_frames, paired_differences, summarise, video_means

KINDS = {"centre": "floor", "uniform": "floor", "mean_map": "floor", "human": "ceiling", "oracle": "oracle"}
"""Kind of the rows that no configuration names."""


@dataclass(frozen=True)
class Form:
    """What the Markdown of a table shows; the default is that of tables over videos.

    Parameters
    ----------
    metrics
        Metrics, in this order.
    counts
        Column -> its heading.
    wide
        Metrics that are shown with their interval.
    printed
        Metrics whose printed values, in the columns ``paper_<name>``, stand in the last column.
    heading
        Of that column.
    """

    metrics: Mapping[str, MetricInfo] = field(default_factory=lambda: METRICS)
    counts: Mapping[str, str] = field(
        default_factory=lambda: {"n_videos": "videos", "n_frames": "frames", "n_skipped": "skipped"}
    )
    wide: Sequence[str] = ("sauc", "chi2")
    printed: Sequence[str] = ("sauc", "chi2")
    heading: str = "paper, on DIEM: sAUC / chi-square"


VIDEOS = Form()


def load_scores(
    results: Path,
    runs: Mapping[str, Sequence[int]],
    videos: Sequence[str],
    metrics: Mapping[str, MetricInfo] = METRICS,
    also: Collection[str] = (),
) -> pd.DataFrame:
    """Read ``<results>/scores/<model>/seed<seed>/<video>.parquet`` of the given models, seeds and videos.

    Parameters
    ----------
    results, runs, videos
        Folder; model -> its seeds; videos.
    metrics, also
        Columns that every file must have: those of the metrics, and others.

    Returns
    -------
    pandas.DataFrame
        One row per model, seed, video and frame.

    Raises
    ------
    DataError
        If a file is missing, cannot be read, or lacks a column.
    """
    tables = []
    for model, seed, video in ((m, s, v) for m, seeds in runs.items() for s in seeds for v in videos):
        path = results / "scores" / model / f"seed{seed}" / f"{video}.parquet"
        try:
            table = pd.read_parquet(path)
            missing = {"frame", "skipped", *metrics, *also} - set(table.columns)
            if missing:
                raise ValueError(f"lacks {', '.join(sorted(missing))}")
        except (OSError, ValueError) as error:
            raise DataError(
                path, f"not a score file ({error})", "Delete it and run the same command"
            ) from None
        tables.append(table.assign(model=model, seed=seed, video=video))
    return pd.concat(tables, ignore_index=True)


def table(
    scores: pd.DataFrame,
    order: Sequence[str],
    dataset: str,
    config: TableConfig,
    paper: pd.DataFrame,
    baselines: Collection[str] = (),
    comparable: bool | None = None,
) -> pd.DataFrame:
    """Return one row per model in the given order; columns as docs/results describe them.

    The paper's figures are for DIEM: ``paper_comparable`` says whether this table's are of the same data set (or what
    ``comparable`` says).
    """
    measured = summary(scores, order, dataset, config, baselines)
    printed = paper.set_index("model").reindex(measured["model"]).reset_index(drop=True)
    last = pd.DataFrame({f"paper_{name}": printed[name] for name in ("sauc", "chi2")})
    last["paper_comparable"] = dataset == "diem" if comparable is None else comparable
    return pd.concat([measured, last], axis=1)


def summary(
    scores: pd.DataFrame,
    order: Sequence[str],
    dataset: str,
    config: TableConfig,
    baselines: Collection[str] = (),
    metrics: Mapping[str, MetricInfo] = METRICS,
) -> pd.DataFrame:
    """Return what a table says by measurement: one row per model in the given order, over the frames that all have."""
    shared = common_frames(scores, list(metrics))
    found = summarise(shared, list(metrics), config.resamples, config.seed).loc[list(order)]
    found["n_skipped"] = int(_left_out(scores, metrics).sum())
    first = pd.DataFrame(
        {
            "dataset": dataset,
            "model": found.index,
            "kind": [KINDS.get(name, "baseline" if name in baselines else "net") for name in found.index],
        },
        index=found.index,
    )
    return pd.concat([first, found], axis=1).reset_index(drop=True)


def differences(
    scores: pd.DataFrame,
    order: Sequence[str],
    config: TableConfig,
    metrics: Mapping[str, MetricInfo] = METRICS,
) -> pd.DataFrame:
    """Return the paired difference of every two models in every metric, over the same resamples of the videos."""
    means = video_means(common_frames(scores, list(metrics)), list(metrics))
    rows = []
    for metric in metrics:
        values = by_video(means, metric)[list(order)]
        for position, reference in enumerate(order[:-1]):
            # Each pair once: a column's interval does not depend on the columns beside it.
            estimate = paired_differences(values.to_numpy()[:, position:], 0, config.resamples, config.seed)
            rows += [
                {
                    "metric": metric,
                    "model": model,
                    "reference": reference,
                    "difference": estimate.mean[column],
                    "lo": estimate.low[column],
                    "hi": estimate.high[column],
                    "n_videos": estimate.n_videos[column],
                }
                for column, model in enumerate(order[position:])
                if column
            ]
    return pd.DataFrame(rows, columns=["metric", "model", "reference", "difference", "lo", "hi", "n_videos"])


def against_best(
    scores: pd.DataFrame, order: Sequence[str], baselines: Sequence[str], config: TableConfig
) -> pd.DataFrame:
    """Return the paired difference of every row to the best baseline of each metric, over the same videos.

    The best is chosen on these very videos, by its mean: that favours the baselines a little.
    """
    means = video_means(common_frames(scores, list(METRICS)), list(METRICS))
    rows = []
    for metric, info in METRICS.items():
        values = by_video(means, metric)[list(order)]
        averages = values[list(baselines)].mean()
        best = str(averages.idxmax() if info.higher_is_better else averages.idxmin())
        estimate = paired_differences(
            values.to_numpy(), list(order).index(best), config.resamples, config.seed
        )
        rows += [
            {
                "metric": metric,
                "best_baseline": best,
                "model": model,
                "difference": estimate.mean[column],
                "lo": estimate.low[column],
                "hi": estimate.high[column],
                "n_videos": estimate.n_videos[column],
            }
            for column, model in enumerate(order)
        ]
    return pd.DataFrame(rows)


def per_video(
    scores: pd.DataFrame, order: Sequence[str], metrics: Mapping[str, MetricInfo] = METRICS
) -> pd.DataFrame:
    """Return the mean of every model, seed and video, with the frames used and skipped."""
    means = video_means(common_frames(scores, list(metrics)), list(metrics))
    means["n_skipped"] = means["video"].map(_left_out(scores, metrics))
    means["model"] = pd.Categorical(means["model"], list(order), ordered=True)
    return means.sort_values(["model", "seed", "video"]).astype({"model": "str"}).reset_index(drop=True)


def skipped(scores: pd.DataFrame) -> dict[str, int]:
    """Return how many frames at least one row could not score, by reason."""
    reasons = scores[scores["skipped"] != ""].drop_duplicates(["video", "frame", "skipped"])["skipped"]
    return {str(reason): int(count) for reason, count in reasons.value_counts().items()}


def _left_out(scores: pd.DataFrame, metrics: Mapping[str, MetricInfo]) -> pd.Series:
    """Return video -> number of its frames that not every row of the table could score, and that no row counts."""
    every = scores.drop_duplicates(["video", "frame"]).groupby("video").size()
    shared = common_frames(scores, list(metrics)).drop_duplicates(["video", "frame"]).groupby("video").size()
    return every.sub(shared, fill_value=0).astype(int)


def seed_spread(scores: pd.DataFrame, metric: str, metrics: Mapping[str, MetricInfo] = METRICS) -> pd.Series:
    """Return each model's standard deviation over seeds of its mean over videos (NaN with one seed)."""
    means = video_means(common_frames(scores, list(metrics)), [metric])
    return means.groupby(["model", "seed"])[metric].mean().groupby("model").std()


def render(table: pd.DataFrame, notes: Mapping[str, str], form: Form = VIDEOS) -> str:
    """Return the table as Markdown for people, with notes below."""
    metrics = form.metrics
    shown = [name for name in metrics if name in table]
    arrows = {name: "↑" if metrics[name].higher_is_better else "↓" for name in shown}
    paper = table[f"paper_{form.printed[0]}"].notna().any()
    timed = "ms_per_frame" in table
    head = ["model", "kind", "seeds", *form.counts.values()]
    head += [f"{metrics[name].label} {arrows[name]}" for name in shown]
    head += ["ms per frame"] if timed else []
    head += [form.heading] if paper else []
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for _, row in table.iterrows():
        counts = [row[name] for name in ("model", "kind", "seeds", *form.counts)]
        cells = ["-" if pd.isna(count) else str(count) for count in counts]
        cells += [_cell(row, name, wide=name in form.wide) for name in shown]
        if timed:
            cells.append("" if pd.isna(row["ms_per_frame"]) else f"{row['ms_per_frame']:.1f}")
        if paper:
            printed = [row[f"paper_{name}"] for name in form.printed]
            cells.append("" if pd.isna(printed[0]) else " / ".join(f"{value:.2f}" for value in printed))
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", *(f"- **{name}**: {text}" for name, text in notes.items())]
    return "\n".join(lines) + "\n"


def _cell(row: pd.Series, name: str, wide: bool) -> str:
    if pd.isna(row[name]):
        return "-"
    wide = wide and pd.notna(row[f"{name}_lo"])  # one video says nothing about the spread
    interval = f" [{row[f'{name}_lo']:.3f}, {row[f'{name}_hi']:.3f}]" if wide else ""
    return f"{row[name]:.3f}{interval}"
