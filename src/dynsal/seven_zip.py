"""Unpacking a few files of a .7z that may be damaged or hostile, in little memory and all or nothing."""

from __future__ import annotations

import lzma
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

import py7zr
from py7zr.exceptions import PasswordRequired

from dynsal.errors import DataError
from dynsal.fileio import is_disk_full, no_space, seal
from dynsal.tar_index import is_plain

RATIO = 1000
"""Videos and text never shrink to a thousandth: an archive that claims it is made to fill the disk."""
MARGIN = 16 * 2**20
"""Bytes that must stay free besides what is unpacked."""

Choose = Callable[[str], str | None]
"""Name in the archive -> path to unpack it to, relative to the folder; None leaves the file out."""


class Unpacked(NamedTuple):
    """What :func:`unpack` did."""

    files: list[str]
    """Paths below the folder."""
    left_out: dict[str, int]
    """Name in the archive -> bytes."""


def unpack(stream: IO[bytes], packed: int, where: str, choose: Choose, folder: Path, remedy: str) -> Unpacked:
    """Unpack the chosen files of a .7z into a folder, read-only; checksums are compared on the way.

    Everything is unpacked to a hidden folder beside and moved only when all of it is right. What a killed process left
    there is removed first.

    Parameters
    ----------
    stream
        The archive, seekable.
    packed
        Its size in bytes.
    where
        What to call it in messages.
    remedy
        What to do about a damaged one.

    Raises
    ------
    DataError
        If the archive is damaged, encrypted, holds links, devices or names that lead outside, declares absurd sizes, or
        does not fit on the disk.
    """
    scratch = folder.with_name(f".{folder.name}.unpacking")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        with py7zr.SevenZipFile(stream) as archive:
            sizes = dict(_checked(archive, packed, where, remedy))
            chosen = {name: path for name in sizes if (path := choose(name)) is not None}
            _require_space(scratch, where, sum(sizes[name] for name in chosen))
            archive.extract(scratch, list(chosen))
        for name, path in chosen.items():
            _move(scratch / name, folder / path, sizes[name])
    except DataError:
        raise
    except PasswordRequired as error:
        raise DataError(where, "is encrypted", remedy) from error
    except Exception as error:  # py7zr's own kinds, and whatever a wild number in a header leads to
        if is_disk_full(error):
            raise no_space(scratch) from error
        raise DataError(where, f"is damaged or no .7z ({_told(error)})", remedy) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return Unpacked(sorted(chosen.values()), {name: sizes[name] for name in sizes if name not in chosen})


def _checked(archive: py7zr.SevenZipFile, packed: int, where: str, remedy: str) -> Iterator[tuple[str, int]]:
    """Yield the names and sizes of the files, after checks that need no unpacking."""
    if archive.needs_password():
        raise DataError(where, "is encrypted", remedy)
    entries = archive.list()
    total = sum(entry.uncompressed for entry in entries)
    if total > RATIO * packed:
        raise DataError(
            where,
            f"says that its {packed} bytes unpack to {total}: no real data shrinks so far",
            "Do not use this archive",
        )
    for entry in entries:
        if not is_plain(entry.filename) or not (entry.is_file or entry.is_directory):
            raise DataError(
                f"{where}: {entry.filename}",
                "is a link, a device or a name that leads outside",
                "Do not use this archive: data sets hold plain files only",
            )
        if not entry.is_directory:
            yield entry.filename, entry.uncompressed


def _require_space(folder: Path, where: str, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed + MARGIN:
        raise DataError(
            where,
            f"needs {needed / 2**20:.0f} MiB unpacked, but only {free / 2**20:.0f} MiB are free",
            "Free some space or move results/ to a larger disk, then run the same command again",
        )


def _move(source: Path, target: Path, size: int) -> None:
    if not stat.S_ISREG(source.lstat().st_mode) or source.stat().st_size != size:
        raise lzma.LZMAError(f"{source.name} did not come out whole")
    seal(source)
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(source, target)


def _told(error: Exception) -> str:
    return str(error) or type(error).__name__
