"""Fetch one file of a registry, or all of them: folders of DYNSAL_MIRROR first, then addresses; verified, resumable.

By hand: python workflow/scripts/download.py --dataset weights --all --out results/weights/raw
"""

import argparse
from pathlib import Path

from dynsal import layout, script
from dynsal.download import fetch, fetch_all


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    if arguments.all:
        fetch_all(arguments.dataset, arguments.out)
    else:
        row = layout.registry_row(arguments.dataset, arguments.file)
        fetch(row, arguments.out, dataset=arguments.dataset)


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument("--dataset", required=True, help="name of resources/datasets/<name>.csv")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--file", help="file as listed there")
    which.add_argument("--all", action="store_true", help="every file listed there, and a manifest of them")
    parser.add_argument(
        "--out", type=Path, required=True, help="where to put it: a file, or with --all a folder"
    )
    script.run(main, parser.parse_args())
