"""What is committed under resources/: split lists and registries of downloads.

Standard library only, because the Snakefile, which every job parses again, reads it.
"""

from __future__ import annotations

import csv
import functools
import io
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from dynsal.errors import DataError

_RENAMED = {"BasketballDrive": "Basketball Drive"}
"""hevc33: the data base's name -> the file's (which has a space)."""


@dataclass(frozen=True)
class RegistryRow:
    """One file of a data set: what it is called, where it can be had, how to know that it is right."""

    file: str
    """Path below the data set's raw folder, and below ``<mirror>/<data set>``."""
    bytes: int | None
    """Exact size, where it is known."""
    sha256: str | None
    """Where it is known; otherwise the first download records it."""
    urls: tuple[str, ...]
    """Tried in order, after the mirror folders. Besides http(s): ``gdrive:<id>`` for a file of Google Drive."""
    licence: str
    md5: str | None = None
    """Where upstream publishes that instead."""
    about: int | None = None
    """Approximate size in bytes, for messages and estimates, where the exact one is not known."""
    page: str = ""
    """Page (or several, separated by blanks) where a person can get the file, for data that needs a click or a licence."""
    citation: str = ""

    @property
    def expected(self) -> int | None:
        """Bytes to expect: exact, approximate, or None."""
        return self.bytes if self.bytes is not None else self.about


@functools.cache
def repo_root() -> Path:
    """Return the checkout that this module, or else the working directory, lies in.

    Raises
    ------
    DataError
        If there is no ``resources/splits`` above either.
    """
    here = Path(__file__).resolve()
    for folder in (*here.parents, Path.cwd(), *Path.cwd().parents):
        if (folder / "resources" / "splits").is_dir():
            return folder
    raise DataError(
        Path.cwd(),
        "no checkout of dynsal here (no folder resources/splits)",
        "Run from the top of the checkout",
    )


def split_file(path: Path) -> dict[str, str]:
    """Return video -> 'train' or 'test', in the order of a split list.

    Raises
    ------
    DataError
        If there is no such file, or it has an error; with the line.
    """
    if not path.is_file():
        raise DataError(
            path, "there is no such split list", "`dynsal validate FOLDER --write-split` writes one"
        )
    found: dict[str, str] = {}
    for where, row in table_rows(path, ("video", "split")):
        if row["split"] not in ("train", "test"):
            raise DataError(where, f"split {row['split']!r}", "It must be train or test")
        if row["video"] in found:
            raise DataError(where, f"{row['video']} is listed twice", "Keep one of the lines")
        found[row["video"]] = row["split"]
    return found


@functools.cache
def _split(name: str) -> tuple[tuple[str, str], ...]:
    return tuple(split_file(_resource("splits", name)).items())


def split(name: str) -> dict[str, str]:
    """Return video -> 'train' or 'test', in the order of ``resources/splits/<name>.csv``.

    Raises
    ------
    DataError
        If there is no such list, or it has an error; with the line.
    """
    return dict(_split(name))


def blind(name: str) -> list[str]:
    """Return the shards that go with a split list but whose gaze is kept secret by a benchmark's server.

    They stand in ``resources/splits/<name>_blind.csv``; most split lists have none.

    Raises
    ------
    DataError
        If that list has an error; with the line.
    """
    path = repo_root() / "resources" / "splits" / f"{name}_blind.csv"
    return [row["video"] for _, row in table_rows(path, ("video",))] if path.is_file() else []


@functools.cache
def _osie_shards() -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for _, row in table_rows(_resource("splits", "osie_images"), ("image", "shard")):
        found.setdefault(row["shard"], []).append(row["image"])
    return {shard: tuple(images) for shard, images in found.items()}


def osie_images(shard: str) -> list[str]:
    """Return the images of an OSIE shard, in the order of ``resources/splits/osie_images.csv``.

    Raises
    ------
    DataError
        If there is no such shard.
    """
    try:
        return list(_osie_shards()[shard])
    except KeyError:
        known = ", ".join(_osie_shards())
        raise DataError(
            _resource("splits", "osie_images"), f"has no shard {shard}", f"Its shards are {known}"
        ) from None


_COLUMNS = ("file", "bytes", "sha256", "md5", "urls", "page", "licence", "citation")


@functools.cache
def _registry(ds: str) -> tuple[RegistryRow, ...]:
    found: dict[str, RegistryRow] = {}
    for where, row in table_rows(_resource("datasets", ds), _COLUMNS):
        if row["file"] in found:
            raise DataError(where, f"{row['file']} is listed twice", "Keep one of the lines")
        found[row["file"]] = _registry_row(where, row)
    return tuple(found.values())


def _registry_row(where: str, row: dict[str, str]) -> RegistryRow:
    file = PurePosixPath(row["file"])
    if file.is_absolute() or ".." in file.parts or str(file) != row["file"]:
        raise DataError(where, f"file {row['file']!r}", "It must be a plain relative path")
    if not re.fullmatch("(~?[0-9]+)?", row["bytes"]):
        raise DataError(
            where, f"bytes {row['bytes']!r}", "It must be a whole number, ~ before an estimate, or empty"
        )
    for name, digits in (("sha256", 64), ("md5", 32)):
        if not re.fullmatch(f"([0-9a-f]{{{digits}}})?", row[name]):
            raise DataError(
                where, f"{name} {row[name]!r}", f"It must be {digits} hexadecimal digits, or empty"
            )
    estimate = row["bytes"].startswith("~")
    size = int(row["bytes"].lstrip("~")) if row["bytes"] else None
    return RegistryRow(
        file=row["file"],
        bytes=None if estimate else size,
        sha256=row["sha256"] or None,
        urls=tuple(row["urls"].split()),
        licence=row["licence"],
        md5=row["md5"] or None,
        about=size if estimate else None,
        page=row["page"],
        citation=row["citation"],
    )


def has_registry(ds: str) -> bool:
    """Whether a data set has files to fetch (the demo is generated)."""
    return (repo_root() / "resources" / "datasets" / f"{ds}.csv").is_file()


def registry(ds: str) -> list[RegistryRow]:
    """Return the files of ``resources/datasets/<ds>.csv``.

    Raises
    ------
    DataError
        If there is no such registry, or it has an error; with the line.
    """
    return list(_registry(ds))


def registry_row(ds: str, file: str) -> RegistryRow:
    """Return one file's row.

    Raises
    ------
    DataError
        If the registry does not have it.
    """
    for row in _registry(ds):
        if row.file == file:
            return row
    raise DataError(_resource("datasets", ds), f"does not list {file}", "Check the file's name")


PUBLISHED_WEIGHTS = {"salnet": "deep_net_model.caffemodel", "vggm": "VGG_CNN_M.caffemodel"}
"""Value of ``net.init`` -> file of ``resources/datasets/weights.csv``."""
WALKER_WEIGHTS = "final.caffemodel"
"""The static flow net of Walker et al. there."""


def initial_weights(init: str) -> str | None:
    """Return the file that ``net.init`` stands for; None for random weights."""
    if init == "he":
        return None
    return f"results/weights/{init}.safetensors" if init in PUBLISHED_WEIGHTS else init


def diem_frames() -> dict[str, int]:
    """Return DIEM's 84 videos and their published numbers of frames."""
    rows = table_rows(_resource("datasets", "diem_videos"), ("index", "video", "width", "height", "frames"))
    return {row["video"]: int(row["frames"]) for _, row in rows}


def published_sizes() -> dict[str, tuple[int, int]]:
    """Return width and height of the working copies of DIEM's test videos in Rudoy et al.'s release."""
    rows = table_rows(_resource("protocols", "published_sizes"), ("video", "width", "height"))
    return {row["video"]: (int(row["width"]), int(row["height"])) for _, row in rows}


def hevc33_file(video: str) -> str:
    """Return the path of an hevc33 video, as in the registry."""
    return f"videos/{_RENAMED.get(video, video)}.avi"


def _resource(folder: str, name: str) -> Path:
    path = repo_root() / "resources" / folder / f"{name}.csv"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in path.parent.glob("*.csv"))) or "none"
        raise DataError(path, "there is no such list", f"Known here: {known}")
    return path


def table_rows(path: Path, columns: tuple[str, ...]) -> list[tuple[str, dict[str, str]]]:
    """Return (file:line, row) for every row, after checking header and column counts."""
    try:
        text = path.read_text(encoding="utf-8-sig")  # spreadsheets put a mark in front
    except UnicodeDecodeError:
        raise DataError(path, "is not UTF-8", "Save it as CSV in UTF-8") from None
    with io.StringIO(text, newline="") as stream:
        reader = csv.reader(stream)
        header = next(reader, [])
        if tuple(header) != columns:
            raise DataError(
                f"{path}:1", f"the header is {','.join(header)}", f"It must be {','.join(columns)}"
            )
        rows = []
        for cells in filter(None, reader):  # without blank lines
            where = f"{path}:{reader.line_num}"
            if len(cells) != len(columns) or not cells[0]:
                raise DataError(
                    where, f"{len(cells)} columns", f"There must be {len(columns)}: {','.join(columns)}"
                )
            rows.append((where, dict(zip(columns, cells, strict=True))))
    return rows
