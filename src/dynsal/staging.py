"""Training clips on a disk of the node itself: read at random, over and over, which shared disks are slow at."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Protocol, runtime_checkable

import psutil

from dynsal.batches import Samples
from dynsal.clip_files import ClipFiles
from dynsal.errors import DataError
from dynsal.fileio import MARGIN
from dynsal.teams import ALONE, Team

log = logging.getLogger(__name__)

VARIABLE = "DYNSAL_SCRATCH"
"""Environment variable that names the folder for copies; variables in it, such as $TMPDIR, are the node's."""


@runtime_checkable
class ClipSamples(Samples, Protocol):
    """Samples that are read from clip files as training goes."""

    files: ClipFiles

    def clips(self) -> set[Path]:
        """Return the files that its samples are read from."""
        ...


@contextlib.contextmanager
def staged(samples: Sequence[ClipSamples], team: Team = ALONE) -> Iterator[None]:
    """Let the samples be read from copies in the folder that DYNSAL_SCRATCH names, removed when the block ends.

    Nothing happens where it is not set. Where the copies do not fit this is logged, and the files themselves are read. Of
    the processes of a team the first copies. SIGTERM and SIGUSR1 raise SystemExit in the block, so that the copies go;
    those of a process that was killed go when the next one on this machine begins.

    Raises
    ------
    DataError
        If there is no such folder, or a file changes while it is copied.
    """
    wanted = sorted({path for one in samples for path in one.clips()})
    if not wanted or not (named := os.environ.get(VARIABLE)):
        yield
        return
    with contextlib.ExitStack() as stack:
        made = stack.enter_context(_copied(wanted, Path(os.path.expandvars(named)))) if team.leads else {}
        copies = team.share(made)
        for one in samples:
            one.files.copies = copies
            stack.callback(setattr, one.files, "copies", {})
        yield


@contextlib.contextmanager
def _copied(files: Sequence[Path], scratch: Path) -> Iterator[dict[Path, Path]]:
    """Yield where the copies are, by file; nothing if there is no room for them."""
    if not scratch.is_dir():
        raise DataError(
            VARIABLE, f"there is no folder {scratch} on this machine", "Name another, or unset it"
        )
    owner = f"dynsal-clips-{socket.gethostname()}-"
    _sweep(scratch, owner)
    needed, free = sum(path.stat().st_size for path in files), shutil.disk_usage(scratch).free
    if needed + MARGIN > free:
        log.warning(
            "%s: %s of clips do not fit (%s free): they are read where they are",
            scratch,
            _megabytes(needed),
            _megabytes(free),
        )
        yield {}
        return
    with _exit_on_signals():
        folder = Path(tempfile.mkdtemp(prefix=f"{owner}{os.getpid()}-", dir=scratch))
        try:
            start, copies = time.perf_counter(), {}
            for number, path in enumerate(files):
                copies[path] = _copy(path, folder / f"{number}-{path.name}")
            seconds = time.perf_counter() - start
            log.info("%d clips, %s, copied to %s in %.1f s", len(files), _megabytes(needed), folder, seconds)
            yield copies
        finally:
            shutil.rmtree(folder)


def _copy(path: Path, to: Path) -> Path:
    before = path.stat()
    shutil.copyfile(path, to)
    after = path.stat()
    if (before.st_size, before.st_mtime_ns) != (
        after.st_size,
        after.st_mtime_ns,
    ) or to.stat().st_size != after.st_size:
        raise DataError(path, "changed while it was copied", "Run again when nothing writes to it")
    return to


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB"


def _sweep(scratch: Path, owner: str) -> None:
    """Remove what this user's killed processes of this machine have left."""
    for left in scratch.glob(f"{owner}*"):
        if left.stat().st_uid == os.getuid() and not psutil.pid_exists(
            int(left.name[len(owner) :].split("-")[0])
        ):
            shutil.rmtree(left, ignore_errors=True)


@contextlib.contextmanager
def _exit_on_signals() -> Iterator[None]:
    def leave(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGUSR1)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
