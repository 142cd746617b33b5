"""Draw the learning curves of all trainings."""

import argparse
from pathlib import Path

import pandas as pd

from dynsal import script
from dynsal.figures import save
from dynsal.figures.series import curves


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    histories = {
        f"{path.parent.parent.name}/{path.parent.name}": pd.read_csv(path) for path in arguments.histories
    }
    save(curves(histories), arguments.out)


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument(
        "--histories", type=Path, nargs="+", required=True, help=".../{model}/seed{seed}/history.csv"
    )
    parser.add_argument(
        "--out", type=Path, nargs="+", required=True, help="pictures; the suffix gives the format"
    )
    script.run(main, parser.parse_args())
