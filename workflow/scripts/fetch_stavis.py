"""Fetch and index DIEM as preprocessed for STAViS; list where in the archives each video's files lie."""

import argparse
from pathlib import Path

from dynsal import script
from dynsal.stavis_release import fetch_stavis


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    fetch_stavis(arguments.videos, arguments.root)


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument("--videos", nargs="+", required=True, help="names of the split list")
    parser.add_argument("--root", type=Path, required=True, help="folder of the downloaded data set")
    script.run(main, parser.parse_args())
