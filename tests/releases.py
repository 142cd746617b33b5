"""Data sets packed as their authors publish them: .7z archives, and .tar.gz with files at some depth."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import py7zr

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
