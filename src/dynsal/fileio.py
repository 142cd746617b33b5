"""Writing files so that an interrupted or failed run never leaves one that looks finished."""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import json
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from dynsal.errors import DataError


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it into place only if the block succeeds.

    The temporary name is unique per process, is flushed to disk before the rename, and is removed on any
    error, so that readers see either the whole file or none. What a killed process of this machine left behind for
    the same path is removed first.

    Raises
    ------
    DataError
        If the disk is full (or a quota is reached), naming the file and the free space.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    host = socket.gethostname()
    for left in path.parent.glob(f".{glob.escape(path.name)}.{glob.escape(host)}-*.part"):
        if not psutil.pid_exists(int(left.name.split("-")[-1].removesuffix(".part"))):
            left.unlink(missing_ok=True)
    part = path.with_name(f".{path.name}.{host}-{os.getpid()}.part")
    try:
        yield part
        with part.open("rb+") as stream:
            os.fsync(stream.fileno())
        os.replace(part, path)
    except Exception as error:  # torch and safetensors raise their own kinds
        if is_disk_full(error):
            raise no_space(path) from error
        raise
    finally:
        part.unlink(missing_ok=True)


def no_space(path: Path) -> DataError:
    """Return the error that tells of a full disk."""
    free = shutil.disk_usage(path.parent).free / 2**20
    return DataError(
        path,
        f"no space left to write it ({free:.0f} MiB free)",
        "Free some space or move results/ to a larger disk, then run the same command again",
    )


def is_disk_full(error: BaseException) -> bool:
    """Whether an error, or one it came from, means 'no space left'; h5py and safetensors hide the number in text."""
    full = (errno.ENOSPC, errno.EDQUOT)
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in full:
            return True
        if any(f"{words} {number}" in str(cause) for words in ("errno =", "os error") for number in full):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


MARGIN = 4 * 2**20
"""Bytes that must stay free while an HDF5 file is written."""


def require_space(path: Path, needed: int = 0) -> None:
    """Raise "no space left" while that can still be told: HDF5 crashes the process once a disk is really full."""
    if shutil.disk_usage(path.parent).free < needed + MARGIN:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic(path) as part:
        part.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically, with sorted keys, so that equal content means equal bytes."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True) + "\n")


def sha256(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest(value: Any) -> str:
    """Return the SHA-256 of plain values, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def sampled_sha256(path: Path, blocks: int = 64, block_bytes: int = 1 << 16) -> str:
    """Return the SHA-256 of a file's size and of evenly spaced blocks of it: enough to tell two data sets apart.

    Tens of gigabytes would otherwise be read before every start of a training. Files up to ``blocks * block_bytes``
    (4 MiB) are read whole.
    """
    size = Path(path).stat().st_size
    state = hashlib.sha256(str(size).encode())
    with Path(path).open("rb") as stream:
        if size <= blocks * block_bytes:
            state.update(stream.read())
        else:
            for block in range(blocks):
                stream.seek((size - block_bytes) * block // (blocks - 1))
                state.update(stream.read(block_bytes))
    return state.hexdigest()


def seal(path: Path) -> None:
    """Flush a file to disk, and make it read-only for whom the umask lets read."""
    umask = os.umask(0)
    os.umask(umask)
    path.chmod(0o600)
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())
    path.chmod(0o444 & ~umask)
