"""One process at a time: for work that several need and only one should do."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger(__name__)


@contextlib.contextmanager
def locked(path: Path, busy: str) -> Iterator[None]:
    """Hold the lock file ``path`` for the block; who else asks for it, process or thread, logs ``busy`` and waits.

    The kernel frees the lock of a process that dies. The file is removed at the end. Where the file system has no such
    locks (some NFS mounts) this is logged, and nobody waits.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _acquire(path, busy)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _acquire(path: Path, busy: str) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            # Whoever held the lock has removed its file: a lock on that one would keep nobody else out.
            if not _take(descriptor, path, busy) or _is_at(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _take(descriptor: int, path: Path, busy: str) -> bool:
    """Wait for the lock; return whether there is such a thing here."""
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("%s", busy)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError as error:
        log.warning("%s: no locks on this file system (%s): run one process at a time", path, error.strerror)
        return False
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
