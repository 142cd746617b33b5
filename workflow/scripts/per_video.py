"""Draw how sAUC spreads over the test videos, and every video's number for every row of a table."""

import argparse
from pathlib import Path

import pandas as pd

from dynsal import script
from dynsal.figures import save
from dynsal.figures.summaries import per_video


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    save(per_video(pd.read_csv(arguments.per_video)), arguments.out)


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument("--per-video", type=Path, required=True, help="table1_per_video.csv")
    parser.add_argument(
        "--out", type=Path, nargs="+", required=True, help="pictures; the suffix gives the format"
    )
    script.run(main, parser.parse_args())
