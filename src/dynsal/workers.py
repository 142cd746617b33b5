"""Worker processes that neither Ctrl-C nor the death of their parent leaves behind."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from dynsal.errors import DataError


@contextlib.contextmanager
def workers(
    processes: int, where: str, begin: Callable[..., None], *arguments: Any
) -> Iterator[Callable[..., Future[Any]]]:
    """Yield a function that hands a call to one of at most so many processes, as ``submit`` of an executor does.

    Every process starts with ``begin(*arguments)``. The end of the block waits for what they are at and drops the rest.

    Raises
    ------
    DataError
        Of ``where``, if one of them dies.
    """
    # Not forked: OpenCV, HDF5 and torch may hold locks and threads here.
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _begin, (begin, arguments))

    def hand_out(work: Callable[..., Any], *words: Any) -> Future[Any]:
        # Workers that start here inherit the blocked signal: Ctrl-C reaches them too, and is their parent's business.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return pool.submit(work, *words)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    try:
        yield hand_out
    except BrokenProcessPool:
        raise DataError(
            where,
            f"one of {processes} processes died, perhaps for lack of memory",
            "Give the job more memory or fewer processes, then run the same command again",
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(begin: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    begin(*arguments)


def _end_with_parent() -> None:
    parent: Any = multiprocessing.parent_process()
    parent.join()
    os._exit(1)
