"""``dynsal validate``: check a folder of your own videos and gaze, and draw the gaze on sample frames."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dynsal.errors import DataError

if TYPE_CHECKING:
    from dynsal.inspection import Inspected

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("folder", type=Path, help="folder with videos/, gaze.csv (or gaze/) and dataset.yaml")
    parser.add_argument(
        "--overlay",
        type=Path,
        metavar="DIR",
        help="where to write the pictures, one per video (FOLDER/overlay)",
    )
    parser.add_argument("--frames", type=int, default=6, metavar="N", help="sample frames per picture")
    parser.add_argument(
        "--write-split", action="store_true", help="write the proposed split.csv into the folder"
    )


def run(arguments: argparse.Namespace) -> int:
    """Do the work; 1 if there is any problem, 0 if there are warnings at most."""
    from dynsal.findings import Findings
    from dynsal.gaze_overlay import draw_overlay
    from dynsal.validation import validate

    folder, overlay = arguments.folder, arguments.overlay or arguments.folder / "overlay"
    if not folder.is_dir():
        raise DataError(folder, "there is no such folder", "Give the folder that holds videos/")
    if arguments.frames < 1:
        raise DataError("--frames", f"{arguments.frames} frames", "Draw at least one")

    drawn = []

    def draw(video: Inspected) -> None:
        drawn.append(video.name)
        try:
            draw_overlay(overlay / f"{video.name}.png", video)
        except OSError as error:
            raise DataError(overlay, f"cannot be written ({error.strerror})", "Give --overlay DIR") from error

    findings = Findings()
    videos = validate(folder, findings, arguments.frames, draw)
    for line in findings.lines():
        print(line)
    if videos:
        print(summary(videos))
    if drawn:
        log.info("look at the pictures in %s: the gaze should lie on what people look at", overlay)
    _split(folder, [video.name for video in videos if video.placed.kept.any()], arguments.write_split)
    log.info("%s: %d problem(s), %d warning(s)", folder, findings.problems, findings.warnings)
    return 1 if findings.problems else 0


def summary(videos: Sequence[Inspected]) -> str:
    """Return the table of all videos."""
    import pandas as pd

    return pd.DataFrame(
        {
            "video": [video.name for video in videos],
            "frames": [video.frames for video in videos],
            "fps": [f"{video.fps:.5g}" for video in videos],
            "size": [f"{video.size[0]}x{video.size[1]}" for video in videos],
            "viewers": [len(video.viewers) for video in videos],
            "fixations": [len(video.rows.table) for video in videos],
            "outside": [f"{video.outside:.1%}" for video in videos],
            "no gaze": [f"{video.blind_frames} frames" for video in videos],
        }
    ).to_string(index=False)


def _split(folder: Path, videos: list[str], write: bool) -> None:
    """Propose split.csv of videos with gaze where there is none."""
    from dynsal.fileio import write_text
    from dynsal.folder_files import SPLIT
    from dynsal.validation import propose_split

    path = folder / SPLIT
    if path.exists():
        if write:
            raise DataError(path, "is there already", "Delete it first, if a new one shall be drawn")
        return
    try:
        roles = propose_split(videos)
    except DataError as error:
        if write:
            raise
        log.info("no split.csv proposed: %s", error)
        return
    text = "video,split\n" + "".join(f"{name},{role}\n" for name, role in roles.items())
    if write:
        write_text(path, text)
        log.info("%s: written, %d videos", path, len(roles))
    else:
        log.info("there is no %s; --write-split writes this one:", path)
        print(text, end="")
