"""Bring one DIEM video and its event files: from a mirror folder, or out of the release archive."""

import argparse
from pathlib import Path

from dynsal import script
from dynsal.diem_release import fetch_diem_video


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    fetch_diem_video(arguments.video, arguments.root)


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument("--video", required=True, help="one of DIEM's 84 names")
    parser.add_argument("--root", type=Path, required=True, help="folder of the downloaded data set")
    script.run(main, parser.parse_args())
