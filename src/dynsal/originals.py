"""Which original files stand for a video's pictures and for its gaze: what the steps after the download depend on.

Names only, and no heavy import: the Snakefile, which every job parses again, asks for them.
"""

from __future__ import annotations

from collections.abc import Callable
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


ORIGINALS: dict[str, Originals] = {
    "demo": Originals(_diem_pictures, _manifest),
    "diem": Originals(_diem_pictures, _manifest),
    "hevc33": Originals(_hevc33_pictures, lambda *_: ["video_database.mat"]),
    "osie": Originals(lambda *_: ["manifest.json"], lambda *_: ["manifest.json"]),
    "salicon": Originals(lambda *_: ["images.zip"], _salicon_gaze),
}
"""Name of the data set -> its original files."""

STILLS = frozenset({"osie", "salicon"})
"""Data sets of still images, whose "videos" are shards of images; they have neither flow nor a Table 1."""


def raw_root(dataset: DatasetConfig, ds: str) -> str:
    """Return the folder of the original files, relative to the working directory.

    SALICON's releases share it: their images are the same.
    """
    return f"results/{'salicon' if dataset.name == 'salicon' else ds}/raw"
