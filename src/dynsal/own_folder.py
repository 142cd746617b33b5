"""What keeps a user's own folder of videos and gaze from being planned; see `dynsal.folder_files`."""

from __future__ import annotations

import re

from dynsal import originals
from dynsal.config import Config
from dynsal.errors import DataError

_TAKEN = {*originals.ORIGINALS, "salicon2017", "baselines", "weights"} - {"folder"}
"""Folders of results/ that a user's data set must not share."""


def problems(config: Config) -> list[str]:
    """Return what keeps a user's folder from being read at all; nothing for other data sets."""
    if config.dataset.name != "folder":
        return []
    from dynsal import folder_files  # only where it is needed: every job parses the Snakefile

    folder, label = originals.folder(config.dataset), originals.label(config.dataset)
    if not folder.is_dir():
        return [f"dataset.folder: there is no folder {folder}"]
    found = []
    if re.search(r"[{}\n]", str(folder)):
        found.append(f"dataset.folder: braces in {folder} would be patterns to Snakemake; rename the folder")
    if label in _TAKEN:
        found.append(f"dataset.label: results/{label} belongs to something else; set another label")
    if config.gaze.px_per_deg is None and folder_files.settings(folder).px_per_deg is None:
        found.append(
            f"gaze.px_per_deg: neither here nor in {folder / folder_files.SETTINGS}; how many pixels of the video make "
            "a degree?"
        )
    return found


def file_problems(config: Config, videos: list[str]) -> list[str]:
    """Return which videos of a user's split have no usable video file or no gaze; nothing for other data sets."""
    if config.dataset.name != "folder":
        return []
    from dynsal import folder_files  # only where it is needed: every job parses the Snakefile

    found = []
    for video in videos:
        for find in (folder_files.video_file, folder_files.gaze_file):
            try:
                find(originals.folder(config.dataset), video)
            except DataError as error:
                found.append(str(error))
    return found
