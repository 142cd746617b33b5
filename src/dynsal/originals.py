"""Which original files stand for a video's pictures and for its gaze: what the steps after the download depend on.

Names only, and no heavy import: the Snakefile, which every job parses again, asks for them.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from dynsal import layout
from dynsal.config import DatasetConfig

Names = Callable[[DatasetConfig, str], list[str]]


class Originals(NamedTuple):
    """Functions of (section ``dataset``, video) that return paths below the data set's folder of original files."""

    pictures: Names
    """The first is the video itself, or what holds it."""
    gaze: Names
    """A data base, the manifest of a video's folder, or the list of its places in an archive."""


def _hevc33_pictures(_: DatasetConfig, video: str) -> list[str]:
    return [layout.hevc33_file(video), "video_database.mat"]


def _diem_pictures(dataset: DatasetConfig, video: str) -> list[str]:
    return _stavis(video) if dataset.source == "stavis" else [f"{video}/video/{video}.mp4"]


def _manifest(dataset: DatasetConfig, video: str) -> list[str]:
    return _stavis(video) if dataset.source == "stavis" else [f"{video}/manifest.json"]


def _stavis(video: str) -> list[str]:
    return [f"stavis/{video}.json"]


def _salicon_gaze(dataset: DatasetConfig, shard: str) -> list[str]:
    if dataset.release == "2017":
        return ["fixations_2017.zip", "images.zip"]
    return [f"points/{shard.rpartition('_')[0]}.parquet", "images.zip"]


# What knows a user's folder is imported where it is asked for, so that steps of other data sets do not depend on it.


def _folder_pictures(dataset: DatasetConfig, video: str) -> list[str]:
    from dynsal import folder_files

    return [folder_files.video_file(folder(dataset), video)]


def _folder_gaze(dataset: DatasetConfig, video: str) -> list[str]:
    from dynsal import folder_files

    place = folder(dataset)
    settings = [folder_files.SETTINGS] if (place / folder_files.SETTINGS).is_file() else []
    return [folder_files.gaze_file(place, video), *settings, *_folder_pictures(dataset, video)]


ORIGINALS: dict[str, Originals] = {
    "demo": Originals(_diem_pictures, _manifest),
    "demo_stills": Originals(_manifest, _manifest),
    "diem": Originals(_diem_pictures, _manifest),
    "folder": Originals(_folder_pictures, _folder_gaze),
    "hevc33": Originals(_hevc33_pictures, lambda *_: ["video_database.mat"]),
    "osie": Originals(lambda *_: ["manifest.json"], lambda *_: ["manifest.json"]),
    "salicon": Originals(lambda *_: ["images.zip"], _salicon_gaze),
}
"""Name of the data set -> its original files."""


def fetched(dataset: DatasetConfig, video: str, *, with_gaze: bool) -> list[str]:
    """Return what must be fetched for a video, below the folder of original files."""
    names = ORIGINALS[dataset.name]
    found = [*names.pictures(dataset, video), *(names.gaze(dataset, video) if with_gaze else [])]
    # A step of its own sorts SALICON's archives into these.
    return [re.sub(r"points/(\w+)\.parquet", r"fixations_\g<1>2014.json.zip", name) for name in found]


STILLS = frozenset({"demo_stills", "osie", "salicon"})
"""Data sets of still images, whose "videos" are shards of images; they have neither flow nor a Table 1."""


def raw_root(dataset: DatasetConfig, ds: str) -> str:
    """Return the folder of the original files, relative to the working directory; a user's own lie where they are."""
    if dataset.name == "folder":
        return str(folder(dataset))
    return f"results/{'salicon' if dataset.name == 'salicon' else ds}/raw"  # its releases share the images


def folder(dataset: DatasetConfig) -> Path:
    """Return the user's folder."""
    return _normal(dataset.folder or "")


@functools.cache  # asked several times for every video
def _normal(name: str) -> Path:
    return Path(os.path.normpath(Path(name).expanduser()))


def label(dataset: DatasetConfig) -> str:
    """Return the name under ``results/``: that of the data set, or what a user's folder is called.

    SALICON's releases must not be mixed and have one each.
    """
    if dataset.name == "salicon" and dataset.release == "2017":
        return "salicon2017"
    if dataset.name != "folder":
        return dataset.name
    name = re.sub("[^a-z0-9_-]+", "-", folder(dataset).resolve().name.lower()).strip("-_")
    return dataset.label or name or "folder"


def split(dataset: DatasetConfig) -> tuple[dict[str, str], str]:
    """Return video -> 'train' or 'test' of the configured split, and the file that says so.

    Raises
    ------
    DataError
        If there is no such list, or it has an error; with the line.
    """
    if dataset.name == "folder":
        from dynsal import folder_files

        path = folder(dataset) / folder_files.SPLIT
        return layout.split_file(path), str(path)
    return layout.split(dataset.split), f"resources/splits/{dataset.split}.csv"
