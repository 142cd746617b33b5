"""One process at a time: for work that several jobs need and only one should do."""

from __future__ import annotations

import contextlib
import fcntl
import logging
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger(__name__)


@contextlib.contextmanager
def locked(path: Path, busy: str) -> Iterator[None]:
    """Hold the lock file ``path`` for the block; where another process has it, log ``busy`` and wait.

    The system releases the lock of a process that dies. The file itself stays, as removing it would let two in.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("%s", busy)
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield
