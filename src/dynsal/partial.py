"""Outputs that a user may interrupt: whole under their own name, or as far as they came under another."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

from dynsal.errors import DataError
from dynsal.fileio import atomic


class Interrupted(KeyboardInterrupt):
    """The user asked to stop, and everything so far can be finished."""


class Closable(Protocol):
    """Something that is written in steps."""

    def close(self, whole: bool = True) -> None:
        """Finish what was begun, so that it can be read; ``whole`` is false after an interruption."""
        ...


Output = TypeVar("Output", bound=Closable)


def partial_path(path: Path) -> Path:
    """Return the name of an output that was interrupted: ``name.partial.suffix``."""
    return path.with_name(f"{path.stem}.partial{path.suffix}")


@contextmanager
def kept_when_interrupted(path: Path, make: Callable[[Path], Output]) -> Iterator[Output]:
    """Yield an output under a temporary name, which becomes ``path`` when the block succeeds.

    If the block raises `Interrupted`, the output is finished too, but becomes :func:`partial_path`; what was there
    under ``path`` stays. After any other error nothing is left.

    Raises
    ------
    DataError
        If the disk is full.
    """
    with atomic(path) as part:
        output = make(part)
        try:
            yield output
        except Interrupted:
            output.close(whole=False)
            os.replace(part, partial_path(path))
            raise
        except BaseException:
            _abandon(output)
            raise
        output.close()


@contextmanager
def folder_kept_when_interrupted(
    path: Path, make: Callable[[Path], Output], owned: Callable[[str], bool]
) -> Iterator[Output]:
    """Do the same for a folder of files.

    Parameters
    ----------
    path
        The folder.
    make
        Makes the output in an empty folder.
    owned
        Whether a file of that name is one of ours. A folder that holds others is not replaced.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    for target in (path, partial_path(path)):
        if target.exists() and not (target.is_dir() and all(map(owned, os.listdir(target)))):
            raise DataError(
                target, "holds other files and would be replaced", "Move it, or give another --out"
            )
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        output = make(part)
        try:
            yield output
        except Interrupted:
            output.close(whole=False)
            _replace_folder(part, partial_path(path))
            raise
        except BaseException:
            _abandon(output)
            raise
        output.close()
        _replace_folder(part, path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _replace_folder(part: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    os.replace(part, target)


def _abandon(output: Closable) -> None:
    """Let go of the file; what goes wrong now says nothing new."""
    try:
        output.close()
    except Exception:
        return
