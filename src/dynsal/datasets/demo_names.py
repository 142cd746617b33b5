"""The demo data set's videos: names and kinds of scene, readable without numpy (the Snakefile reads them)."""

from __future__ import annotations

import re
from typing import NamedTuple

KINDS = ("still", "pan", "crowd")
"""``still``: the camera rests; ``pan``: everything moves in the image; ``crowd``: more decoys of both sorts."""

VIDEOS: dict[str, str] = {
    "demo_crowd_01_640x480": "train",
    "demo_crowd_02_640x360": "train",
    "demo_crowd_03_560x420": "train",
    "demo_crowd_04_640x480": "test",
    "demo_crowd_05_480x360": "test",
    "demo_pan_01_640x480": "train",
    "demo_pan_02_640x360": "train",
    "demo_pan_03_480x360": "train",
    "demo_pan_04_560x420": "train",
    "demo_pan_05_640x480": "test",
    "demo_pan_06_640x360": "test",
    "demo_still_01_640x480": "train",
    "demo_still_02_480x360": "train",
    "demo_still_03_640x360": "train",
    "demo_still_04_560x420": "train",
    "demo_still_05_640x480": "train",
    "demo_still_06_640x480": "test",
    "demo_still_07_560x420": "test",
}
"""Video name (ending, as DIEM's do, in the native size) -> train or test; resources/splits/demo.csv repeats it."""

VALIDATION = ("demo_pan_04_560x420", "demo_still_05_640x480")
"""Training videos that a configuration may set aside for validation."""

_NAME = re.compile(r"demo_(still|pan|crowd)_\d+_(\d+)x(\d+)")


class Name(NamedTuple):
    """What a video's name says."""

    kind: str
    width: int
    height: int


def parse_name(video: str) -> Name | None:
    """Return kind and native size of a demo video, or None if the name is no such video's.

    Names that follow the pattern but stand not in `VIDEOS` are further scenes of the same world. Sides must be
    even (4:2:0 video), at least 64 pixels, and fit DIEM's screen of 1280x960.
    """
    match = _NAME.fullmatch(video)
    if match is None:
        return None
    width, height = int(match[2]), int(match[3])
    if width % 2 or height % 2 or not 64 <= width <= 1280 or not 64 <= height <= 960:
        return None
    return Name(match[1], width, height)
