"""Set arch `lite` beside a recorded Table 1: paired differences over videos, and how much of the way to people is gone.

Reads score files of the model (rule evaluate) and the record's ``table1_per_video.csv``, made by the same rules on the same
test videos. Writes ``<model>_verdict.csv``, one row per metric, and ``<model>_per_video.csv``. Intervals: 95 %, percentile
bootstrap over videos. The gap is left empty where half of the viewers do not predict the other half better than the rival.

Example: ``python benchmarks/lite_verdict.py --scores results/hevc33/scores/lite
--record docs/results/hevc33/table1_per_video.csv --out docs/results/hevc33``
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from dynsal.fileio import write_text
from dynsal.metrics import METRICS
from dynsal.statistics import by_video, resampled_means, video_means

RESAMPLES = 10_000
_TAIL = (0.025, 0.975)


def read_scores(folder: Path) -> pd.DataFrame:
    """Return the scores of every seed and video below ``folder``, with its name as the model's."""
    tables = []
    for path in sorted(folder.glob("seed*/*.parquet")):
        seed = int(path.parent.name.removeprefix("seed"))
        tables.append(pd.read_parquet(path).assign(model=folder.name, seed=seed, video=path.stem))
    return pd.concat(tables, ignore_index=True)


def compare(per_video: pd.DataFrame, model: str, rival: str, metric: str) -> dict[str, float | str]:
    """Return one metric's row: means of model, rival and people, the paired difference, and the share of the gap closed."""
    values = by_video(per_video, metric)[[model, rival, "human"]].dropna()
    means = values.mean()
    drawn = resampled_means(values.to_numpy(), RESAMPLES, 0)
    difference = drawn[:, 0] - drawn[:, 1]
    closed = difference / (drawn[:, 2] - drawn[:, 1])
    sign = 1 if METRICS[metric].higher_is_better else -1
    low, high = np.quantile(difference, _TAIL)
    gap = (means["human"] - means[rival]) * sign
    share = (
        [(means[model] - means[rival]) * sign / gap, *np.quantile(closed, _TAIL)] if gap > 0 else [np.nan] * 3
    )
    return {
        "metric": metric,
        model: means[model],
        rival: means[rival],
        "human": means["human"],
        "difference": means[model] - means[rival],
        "difference_lo": low,
        "difference_hi": high,
        "videos_better": int((((values[model] - values[rival]) * sign) > 0).sum()),
        "videos": len(values),
        **dict(zip(("gap_closed", "gap_closed_lo", "gap_closed_hi"), share, strict=True)),
    }


def main() -> None:
    """Compare, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scores", type=Path, required=True, help="results/{ds}/scores/{model}")
    parser.add_argument("--record", type=Path, required=True, help="table1_per_video.csv")
    parser.add_argument("--rival", default="early_aug")
    parser.add_argument("--out", type=Path, required=True, help="folder")
    arguments = parser.parse_args()
    metrics = list(METRICS)
    own = video_means(read_scores(arguments.scores), metrics)
    record = pd.read_csv(arguments.record)
    per_video = pd.concat([own, record[record["model"] != arguments.scores.name]], ignore_index=True)
    name = arguments.scores.name
    rows = [compare(per_video, name, arguments.rival, metric) for metric in metrics]
    table = pd.DataFrame(rows).round(4)
    each = own[["model", "seed", "video", *metrics, "n_frames"]].round(6)
    for kind, written in (("verdict", table), ("per_video", each)):
        write_text(arguments.out / f"{name}_{kind}.csv", written.to_csv(index=False, lineterminator="\n"))
    print(table.to_string(index=False), each.groupby("seed")[metrics].mean().round(4).to_string(), sep="\n\n")


if __name__ == "__main__":
    main()
