"""A small folder of one's own videos and gaze, as the tests of its reader and of its checks start from."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from dynsal.video import encode

SIZE = (64, 48)
FRAMES = 40
FPS = 25
VIDEOS = ("a", "b", "c")
VIEWERS = ("p1", "p2", "p3")
POINTS = 43
"""Points per viewer and video: 40 frames, three of which end one fixation and begin the next."""
HEADER = "video,subject,t_ms,duration_ms,x,y"


def rows() -> list[str]:
    """Return a fixation of every viewer in every quarter of every video, about the middle."""
    rng = np.random.default_rng(0)
    return [
        f"{video},{viewer},{start},400,{rng.uniform(20, 44):.1f},{rng.uniform(16, 32):.1f}"
        for video in VIDEOS
        for viewer in VIEWERS
        for start in (0, 400, 800, 1200)
    ]


def make_folder(folder: Path) -> Path:
    """Write a sound folder: three videos, three viewers."""
    (folder / "videos").mkdir(parents=True)
    rng = np.random.default_rng(1)
    picture = (
        rng.integers(0, 255, (SIZE[1] // 8, SIZE[0] // 8 + FRAMES, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    )
    for video in VIDEOS:
        frames = (picture[:, i : i + SIZE[0]] for i in range(FRAMES))
        encode(folder / "videos" / f"{video}.mp4", frames, FPS, preset="ultrafast")
    write_gaze(folder, rows())
    (folder / "dataset.yaml").write_text("px_per_deg: 10\n")
    (folder / "split.csv").write_text("video,split\na,train\nb,test\nc,test\n")
    return folder


def write_gaze(folder: Path, lines: list[str], header: str = HEADER) -> None:
    """Write gaze.csv."""
    (folder / "gaze.csv").write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")


def copy_folder(source: Path, target: Path) -> Path:
    """Return a copy that a test may spoil."""
    shutil.copytree(source, target)
    return target
