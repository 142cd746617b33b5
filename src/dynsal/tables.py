"""Tables, from score files only."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import pandas as pd

from dynsal.config import TableConfig
from dynsal.errors import DataError
from dynsal.metrics import METRICS
from dynsal.statistics import by_video, common_frames, paired_differences, summarise, video_means

KINDS = {"centre": "floor", "uniform": "floor", "mean_map": "floor", "human": "ceiling", "oracle": "oracle"}
"""Kind of the rows that no configuration names."""


def load_scores(results: Path, runs: Mapping[str, Sequence[int]], videos: Sequence[str]) -> pd.DataFrame:
    """Read ``<results>/scores/<model>/seed<seed>/<video>.parquet`` of the given models, seeds and videos.

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
            missing = {"frame", "skipped", *METRICS} - set(table.columns)
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
    shared = common_frames(scores, list(METRICS))
    summary = summarise(shared, list(METRICS), config.resamples, config.seed).loc[list(order)]
    summary["n_skipped"] = int(_left_out(scores).sum())
    printed = paper.set_index("model").reindex(summary.index)
    first = pd.DataFrame(
        {
            "dataset": dataset,
            "model": summary.index,
            "kind": [KINDS.get(name, "baseline" if name in baselines else "net") for name in summary.index],
        },
        index=summary.index,
    )
    last = pd.DataFrame({f"paper_{name}": printed[name] for name in ("sauc", "chi2")})
    last["paper_comparable"] = dataset == "diem" if comparable is None else comparable
    return pd.concat([first, summary, last], axis=1).reset_index(drop=True)


def differences(scores: pd.DataFrame, order: Sequence[str], config: TableConfig) -> pd.DataFrame:
    """Return the paired difference of every two models in every metric, over the same resamples of the videos."""
    means = video_means(common_frames(scores, list(METRICS)), list(METRICS))
    rows = []
    for metric in METRICS:
        values = by_video(means, metric)[list(order)]
        for position, reference in enumerate(order):
            estimate = paired_differences(values.to_numpy(), position, config.resamples, config.seed)
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
                for column, model in enumerate(order)
                if column > position
            ]
    return pd.DataFrame(rows)


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


def per_video(scores: pd.DataFrame, order: Sequence[str]) -> pd.DataFrame:
    """Return the mean of every model, seed and video, with the frames used and skipped."""
    means = video_means(common_frames(scores, list(METRICS)), list(METRICS))
    means["n_skipped"] = means["video"].map(_left_out(scores))
    means["model"] = pd.Categorical(means["model"], list(order), ordered=True)
    return means.sort_values(["model", "seed", "video"]).astype({"model": "str"}).reset_index(drop=True)


def skipped(scores: pd.DataFrame) -> dict[str, int]:
    """Return how many frames at least one row could not score, by reason."""
    reasons = scores[scores["skipped"] != ""].drop_duplicates(["video", "frame", "skipped"])["skipped"]
    return {str(reason): int(count) for reason, count in reasons.value_counts().items()}


def _left_out(scores: pd.DataFrame) -> pd.Series:
    """Return video -> number of its frames that not every row of the table could score, and that no row counts."""
    every = scores.drop_duplicates(["video", "frame"]).groupby("video").size()
    shared = common_frames(scores, list(METRICS)).drop_duplicates(["video", "frame"]).groupby("video").size()
    return every.sub(shared, fill_value=0).astype(int)


def seed_spread(scores: pd.DataFrame, metric: str) -> pd.Series:
    """Return each model's standard deviation over seeds of its mean over videos (NaN with one seed)."""
    means = video_means(common_frames(scores, list(METRICS)), [metric])
    return means.groupby(["model", "seed"])[metric].mean().groupby("model").std()


def render(table: pd.DataFrame, notes: Mapping[str, str]) -> str:
    """Return the table as Markdown for people, with notes below."""
    shown = [name for name in METRICS if name in table]
    arrows = {name: "↑" if METRICS[name].higher_is_better else "↓" for name in shown}
    paper = table["paper_sauc"].notna().any()
    timed = "ms_per_frame" in table
    head = [
        "model",
        "kind",
        "seeds",
        "videos",
        "frames",
        "skipped",
        *(f"{METRICS[name].label} {arrows[name]}" for name in shown),
    ]
    head += ["ms per frame"] if timed else []
    head += ["paper, on DIEM: sAUC / chi-square"] if paper else []
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for _, row in table.iterrows():
        cells = [str(row[name]) for name in ("model", "kind", "seeds", "n_videos", "n_frames", "n_skipped")]
        cells += [_cell(row, name, wide=name in ("sauc", "chi2")) for name in shown]
        if timed:
            cells.append("" if pd.isna(row["ms_per_frame"]) else f"{row['ms_per_frame']:.1f}")
        if paper:
            has = pd.notna(row["paper_sauc"])
            cells.append(f"{row['paper_sauc']:.2f} / {row['paper_chi2']:.2f}" if has else "")
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", *(f"- **{name}**: {text}" for name, text in notes.items())]
    return "\n".join(lines) + "\n"


def _cell(row: pd.Series, name: str, wide: bool) -> str:
    if pd.isna(row[name]):
        return "-"
    wide = wide and pd.notna(row[f"{name}_lo"])  # one video says nothing about the spread
    interval = f" [{row[f'{name}_lo']:.3f}, {row[f'{name}_hi']:.3f}]" if wide else ""
    return f"{row[name]:.3f}{interval}"
