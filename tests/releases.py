"""Stand-ins for releases: small videos in DIEM's layout, and .7z and .tar.gz archives."""

from __future__ import annotations

import csv
import io
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import py7zr

from dynsal.video import encode

DEEP = "informatik3/wtm/datasets/External Datasets/DIEM"
"""Where the videos' archives lie in DIEM's release."""


def seven_zip(path: Path, files: Mapping[str, bytes], **options) -> bytes:
    """Write a .7z of the given files, and return its bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with py7zr.SevenZipFile(path, "w", **options) as archive:
        for name, data in files.items():
            archive.writestr(data, name)
    return path.read_bytes()


def tar_gz(path: Path, files: Mapping[str, bytes], *more: tarfile.TarInfo) -> Path:
    """Write a .tar.gz of the given files, of the folders above them, and of further entries as they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        folders = {str(parent) for name in files for parent in Path(name).parents} - {".", "/"}
        for folder in sorted(folders):
            info = tarfile.TarInfo(folder)
            info.type = tarfile.DIRTYPE
            tar.addfile(info)
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        for info in more:
            tar.addfile(info)
    return path


def tree(folder: Path, top: str = "") -> dict[str, bytes]:
    """Return the files below a folder by their path below it, with ``top`` before."""
    return {
        f"{top}{path.relative_to(folder)}": path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def put_video(folder: Path, name: str, rng: np.random.Generator, frames: int) -> None:
    """Write one synthetic video to ``folder/name`` as DIEM's archives unpack: noise that drifts, four recordings about its middle."""
    width, height = map(int, name.rsplit("_", 1)[1].split("x"))
    picture = rng.integers(0, 255, (height // 8, width // 8 + frames, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    folder = folder / name
    (folder / "video").mkdir(parents=True)
    encode(folder / "video" / f"{name}.mp4", (picture[:, 4 * i : 4 * i + width] for i in range(frames)), 30)
    (folder / "event_data").mkdir()
    for viewer in range(1, 5):
        rows = []
        for frame in range(1, frames + 1):
            x, y = 640 + rng.normal(0, 60), 480 + rng.normal(0, 40)
            eye = f"{x:.1f}\t{y:.1f}\t1000\t1"
            rows.append(f"{frame}\t{eye}\t{eye}\r\n")
        (folder / "event_data" / f"diem1s{viewer:02d}.asc_3_{name}.txt").write_bytes("".join(rows).encode())


def set_frames(checkout: Path, names: Iterable[str], frames: int) -> None:
    """Let a copied checkout publish another number of frames of some videos."""
    path = checkout / "resources/datasets/diem_videos.csv"
    rows = list(csv.reader(path.read_text().splitlines()))
    lines = [[*row[:4], str(frames)] if row[1] in set(names) else row for row in rows]
    path.write_text("".join(",".join(row) + "\n" for row in lines))
