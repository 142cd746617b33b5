"""Flow of one video by several single-threaded processes, bit for bit that of one.

This process decodes, once and in order; pairs of frames go to the workers, and fields come back in the order of the
frames. Only so many pairs are on their way at once that memory does not grow with the video.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from dynsal.errors import DataError
from dynsal.flow import Estimator, Field, estimator, fields
from dynsal.prepare import Frame

Name = Literal["deepflow", "dis", "farneback"]
Direction = Literal["forward", "backward"]

_AHEAD = 2
"""Pairs per worker on their way: one that it computes, one that it finds when it is done."""

_estimate: Estimator | None = None
"""A worker's estimator, made once."""


def shared_fields(
    frames: Iterable[Frame], name: Name, direction: Direction, where: str, processes: int
) -> Generator[tuple[Frame, Field], None, None]:
    """Yield what :func:`dynsal.flow.fields` yields, computed by so many processes; with one, by this process itself.

    Close it (``contextlib.closing``) where not all is taken: its end waits for the workers. They also end when this
    process is killed.

    Raises
    ------
    DataError
        As :func:`dynsal.flow.fields` does; or if a worker dies.
    """
    if processes <= 1:
        yield from fields(frames, estimator(name), direction, where)
        return
    # Not forked: OpenCV and HDF5 may hold locks and threads here.
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _begin, (name,))
    waiting: deque[tuple[Frame, Future[Field]]] = deque()

    def hand_out(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> Future[Field]:
        # Workers that start here inherit the blocked signal: Ctrl-C reaches them too, and is their parent's business.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return pool.submit(_field, first, second)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    try:
        for pair in fields(frames, hand_out, direction, where):
            waiting.append(pair)
            if len(waiting) > _AHEAD * processes:
                frame, future = waiting.popleft()
                yield frame, future.result()
        while waiting:
            frame, future = waiting.popleft()
            yield frame, future.result()
    except BrokenProcessPool:
        raise DataError(
            where,
            f"one of {processes} flow processes died, perhaps for lack of memory",
            "Give the job more memory or fewer processes, then run the same command again",
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(name: Name) -> None:
    """Set a worker up: one thread that computes, and no life without its parent."""
    global _estimate
    threading.Thread(target=_end_with_parent, daemon=True).start()
    cv2.setNumThreads(1)
    _estimate = estimator(name)


def _end_with_parent() -> None:
    parent: Any = multiprocessing.parent_process()
    parent.join()
    os._exit(1)


def _field(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> Field:
    if _estimate is None:
        raise RuntimeError("this worker was not set up")
    return _estimate(first, second)
