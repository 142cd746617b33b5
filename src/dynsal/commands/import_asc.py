"""``dynsal import-asc``: fixations from EyeLink's .asc files to a gaze.csv."""

from __future__ import annotations

import argparse
import csv
import io
import logging
from collections import Counter
from pathlib import Path

from dynsal import eyelink
from dynsal.errors import DataError

log = logging.getLogger(__name__)

HEADER = ("video", "subject", "t_ms", "duration_ms", "x", "y")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "files", nargs="+", type=Path, help=".asc files, one per viewer: the name is the subject"
    )
    parser.add_argument("--out", type=Path, required=True, help="gaze.csv to write")
    parser.add_argument(
        "--video",
        metavar="REGEX",
        default=eyelink.VIDEO,
        help="message that names the video, in a group (?P<video>...)",
    )
    parser.add_argument(
        "--start",
        metavar="REGEX",
        default=eyelink.START,
        help="message at the video's first frame; may name the video, too",
    )
    parser.add_argument(
        "--eye",
        choices=["auto", "left", "right", "both"],
        default="auto",
        help="whose fixations; auto: left if recorded, else right; both: as two viewers, SUBJECT_L and SUBJECT_R",
    )


def run(arguments: argparse.Namespace) -> None:
    """Do the work."""
    from dynsal.fileio import write_text

    twice = [stem for stem, count in Counter(path.stem for path in arguments.files).items() if count > 1]
    if twice:
        raise DataError(
            ", ".join(twice), "more than one file of this name", "The name is the viewer's; rename one"
        )
    video, start = eyelink.patterns(arguments.video, arguments.start)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for path in arguments.files:
        read = eyelink.read_asc(path, video, start)
        kept = eyelink.choose_eye(read, arguments.eye)
        if not kept:
            raise DataError(path, f"has no fixation of the {arguments.eye} eye", "Use --eye auto")
        for one in kept:
            subject = f"{path.stem}_{one.eye}" if arguments.eye == "both" else path.stem
            writer.writerow(
                (one.video, subject, *(f"{value:.12g}" for value in (one.start, one.duration, one.x, one.y)))
            )
        videos = len({one.video for one in kept})
        log.info("%s: %d fixations on %d videos", path, len(kept), videos)
    write_text(arguments.out, text.getvalue())
    log.info("%s: written; positions are of the screen (dataset.yaml: coordinates: screen)", arguments.out)
