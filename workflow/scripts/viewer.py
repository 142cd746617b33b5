"""Compose the viewer's page of one or several test videos."""

import argparse
from pathlib import Path

from dynsal import script
from dynsal.fileio import write_text
from dynsal.viewer import Showing, page


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    showings = [Showing.from_json(path.read_text(encoding="utf-8")) for path in arguments.facts]
    write_text(arguments.out, page(showings, [path.read_bytes() for path in arguments.videos]))


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument("--videos", type=Path, nargs="+", required=True, help="mp4 files")
    parser.add_argument(
        "--facts", type=Path, nargs="+", required=True, help="their JSON files, in the same order"
    )
    parser.add_argument("--out", type=Path, required=True, help="page to write")
    script.run(main, parser.parse_args())
