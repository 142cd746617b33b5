"""Flow of one video by several single-threaded processes, bit for bit that of one.

This process decodes, once and in order; pairs of frames go to the workers, and fields come back in the order of the
frames. Only so many pairs are on their way at once that memory does not grow with the video.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from dynsal.flow import Estimator, Field, estimator, fields
from dynsal.prepare import Frame
from dynsal.workers import workers

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
    waiting: deque[tuple[Frame, Future[Field]]] = deque()
    with workers(processes, where, _begin, name) as hand_out:
        pairs = fields(frames, lambda first, second: hand_out(_field, first, second), direction, where)
        for pair in pairs:
            waiting.append(pair)
            if len(waiting) > _AHEAD * processes:
                frame, future = waiting.popleft()
                yield frame, future.result()
        while waiting:
            frame, future = waiting.popleft()
            yield frame, future.result()


def _begin(name: Name) -> None:
    global _estimate
    cv2.setNumThreads(1)
    _estimate = estimator(name)


def _field(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> Field:
    if _estimate is None:
        raise RuntimeError("this worker was not set up")
    return _estimate(first, second)
