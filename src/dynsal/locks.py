"""Locks between processes: who comes second waits, then finds the work done."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger(__name__)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of ``path`` for the block; whoever else asks for it, process or thread, waits.

    The lock is a hidden file beside the path, taken with flock, so that the kernel frees it when its holder is killed.
    It is removed at the end. On a file system without flock (some NFS mounts) this is logged, and nobody waits.
    """
    lock = path.with_name(f".{path.name}.lock")
    descriptor = _acquire(lock, path)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
        os.close(descriptor)


def _acquire(lock: Path, path: Path) -> int:
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if not _take(descriptor, path):
                return descriptor
            # Whoever held the lock has removed its file: a lock on that one would keep nobody else out.
            if lock.exists() and os.path.samestat(os.fstat(descriptor), lock.stat()):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _take(descriptor: int, path: Path) -> bool:
    """Wait for the lock; return whether there is such a thing here."""
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("%s: waiting for another process that works on it", path)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError as error:
        log.warning(
            "%s: no locks on this file system (%s); do not fetch it twice at once", path, error.strerror
        )
        return False
    return True
