"""Fetch one file of a data set's registry: a mirror folder first, then its addresses; checked by SHA-256."""

import argparse
from pathlib import Path

from dynsal import layout, script
from dynsal.download import fetch


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    params = script.read_params(arguments)
    row = layout.registry_row(arguments.dataset, arguments.file)
    fetch(row, arguments.out, params.mirrors, arguments.dataset)


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument("--dataset", required=True, help="name of resources/datasets/<name>.csv")
    parser.add_argument("--file", required=True, help="file as listed there")
    parser.add_argument("--out", type=Path, required=True, help="where to put it")
    script.run(main, parser.parse_args())
