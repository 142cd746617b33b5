"""Rescaling: the frames that everything after it works on.

Flow is computed from exactly these frames and not from their stored JPEG copies (whose artefacts
move it), so the flow step decodes the video again and comes through the same two functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dynsal.video import resize


@dataclass(frozen=True, slots=True)
class Frame:
    """One working frame."""

    index: int
    """Index in the source video, in decode order, from 0."""
    time: float
    """Seconds."""
    bgr: NDArray[np.uint8]
    """H x W x 3 at the working size."""
    kept: bool
    """Whether training and scoring use it; the others serve only as partners for flow."""


def stride_for(fps: float, target: float | None) -> int:
    """Return which n-th frames to take so that a video comes close to the target rate; never less than 1."""
    return 1 if target is None else max(1, round(fps / target))


def wanted_frames(stride: int, step: int, neighbours: bool = False) -> Callable[[int], bool]:
    """Return whether a source frame, by its index, is among the working frames.

    Every ``stride``-th frame stays, and of these every ``step``-th is kept. With ``neighbours`` the ones just before and
    after a kept one come too: they are what flow needs.
    """
    places = {0, 1, step - 1} if neighbours else {0}
    return lambda index: index % stride == 0 and index // stride % step in places


def working_frames(
    decoded: Iterable[tuple[float, NDArray[np.uint8] | None]], size: tuple[int, int], stride: int, step: int
) -> Iterator[Frame]:
    """Rescale the frames that were decoded (see :func:`wanted_frames`) to (width, height).

    The aspect ratio is not kept (paper, section 4.1). Every ``step``-th of each ``stride``-th frame is marked as kept.
    """
    for index, (time, bgr) in enumerate(decoded):
        if bgr is not None:
            yield Frame(index, time, resize(bgr, size), index % (stride * step) == 0)
