"""Draw how far the metrics agree on models and videos: rank correlations between them."""

import argparse
from pathlib import Path

import pandas as pd

from dynsal import script
from dynsal.agreement import pooled, within_videos
from dynsal.figures import label, save
from dynsal.figures.summaries import agreement
from dynsal.metrics import METRICS

LEFT_OUT = ("human",)
"""Its distribution metrics compare two densities of half the viewers each."""


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    table = pd.read_csv(arguments.per_video)
    table = table[~table["model"].isin(LEFT_OUT)]
    names = [name for name in METRICS if table[name].notna().any()]
    table = table.groupby(["model", "video"], sort=False, as_index=False)[names].mean()  # over seeds
    note = (
        f"{table['model'].nunique()} models and floors on {table['video'].nunique()} test videos, without "
        f"{' and '.join(map(label, LEFT_OUT))}. chi-square and KLD with the other sign: 1 is agreement. A row without a value "
        "of one metric is left out of its pairs."
    )
    save(agreement(pooled(table, names), within_videos(table, names), note), arguments.out)


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument("--per-video", type=Path, required=True, help="table1_per_video.csv")
    parser.add_argument(
        "--out", type=Path, nargs="+", required=True, help="pictures; the suffix gives the format"
    )
    script.run(main, parser.parse_args())
