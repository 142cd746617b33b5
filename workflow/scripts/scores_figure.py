"""Draw the rows of a table with their intervals."""

import argparse
from pathlib import Path

import pandas as pd

from dynsal import script
from dynsal.figures import save
from dynsal.figures.summaries import scores


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    save(scores(pd.read_csv(arguments.table), pd.read_csv(arguments.per_video)), arguments.out)


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument("--table", type=Path, required=True, help="table1.csv")
    parser.add_argument("--per-video", type=Path, required=True, help="table1_per_video.csv")
    parser.add_argument(
        "--out", type=Path, nargs="+", required=True, help="pictures; the suffix gives the format"
    )
    script.run(main, parser.parse_args())
