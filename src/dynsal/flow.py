"""Optical flow: estimators, the direction convention, and low-resolution copies.

The paper uses DeepFlow (Weinzaepfel et al., ICCV 2013). OpenCV's ``createOptFlow_DeepFlow`` is its variational part
without DeepMatching, hence weaker on large displacements; tables and files name it ``deepflow`` with OpenCV's version.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from dynsal.errors import DataError
from dynsal.prepare import Frame

Field = NDArray[np.float32]
Estimator = Callable[[NDArray[np.uint8], NDArray[np.uint8]], Field]
Found = TypeVar("Found")

_SMALLEST = 16
"""Side in pixels below which the estimators' pyramids have no level to start from."""


def estimator(name: Literal["deepflow", "dis", "farneback"]) -> Estimator:
    """Return a function of two H x W uint8 grey frames giving H x W x 2 float32 (u right, v down, pixels).

    Results do not depend on the number of threads. Parameters: DeepFlow as OpenCV fixes them; DIS preset medium;
    Farneback (.5, 3, 15, 3, 5, 1.2), OpenCV's documented example.
    """
    if name == "deepflow":
        made: Any = cv2.optflow.createOptFlow_DeepFlow()
        return lambda first, second: np.asarray(made.calc(first, second, None), np.float32)
    if name == "dis":
        made = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        return lambda first, second: np.asarray(made.calc(first, second, None), np.float32)
    if name == "farneback":
        farneback: Any = cv2.calcOpticalFlowFarneback
        return lambda first, second: np.asarray(
            farneback(first, second, None, 0.5, 3, 15, 3, 5, 1.2, 0), np.float32
        )
    raise ValueError(f"unknown flow estimator {name!r}: use deepflow, dis or farneback")


def fields(
    frames: Iterable[Frame],
    estimate: Callable[[NDArray[np.uint8], NDArray[np.uint8]], Found],
    direction: Literal["forward", "backward"],
    where: str = "the video",
) -> Iterator[tuple[Frame, Found]]:
    """Yield every kept frame with its flow field, or whatever else ``estimate`` returns for a pair of grey frames.

    Forward: t to t+1 on the grid of frame t; the last frame of the video repeats the field before it. Backward:
    t to t-1 on the grid of frame t, which is causal; the first frame repeats the field after it.

    Raises
    ------
    DataError
        If there are fewer than two frames, or they are too small for a pyramid.
    """
    previous: tuple[Frame, NDArray[np.uint8]] | None = None
    before: tuple[Frame, NDArray[np.uint8]] | None = None
    found: Found | None = None  # of the last pair, if anything needed it
    for frame in frames:
        grey = np.asarray(cv2.cvtColor(frame.bgr, cv2.COLOR_BGR2GRAY), np.uint8)
        if min(grey.shape) < _SMALLEST:
            raise DataError(
                where,
                f"frames of {grey.shape[1]}x{grey.shape[0]} are too small for flow",
                "Enlarge prepare.size",
            )
        if before is not None:
            other, other_grey = before
            if direction == "forward":
                users = [other] if other.kept else []
                pair = (other_grey, grey)
            else:
                users = [one for one in (other if previous is None else None, frame) if one and one.kept]
                pair = (grey, other_grey)
            found = estimate(*pair) if users else None
            for user in users:
                if found is not None:
                    yield user, found
        previous, before = before, (frame, grey)
    if before is None or previous is None:
        raise DataError(where, "fewer than two frames, so it has no flow", "Remove it from the split list")
    if direction == "forward" and before[0].kept:
        yield before[0], estimate(previous[1], before[1]) if found is None else found


def thinned_fields(
    frames: Iterable[Frame],
    estimate: Estimator,
    direction: Literal["forward", "backward"],
    stride: int,
    where: str = "the video",
) -> Iterator[tuple[Frame, Field]]:
    """Yield every frame with a field over ``stride`` frames, as a net saw it that was trained on thinned videos.

    Fields are those of :func:`fields` between every ``stride``-th frame; the frames in between take the field that
    spans them.
    """
    waiting: deque[Frame] = deque()

    def thinned() -> Iterator[Frame]:
        for frame in frames:
            waiting.append(frame)
            if frame.index % stride == 0:
                yield frame

    field: Field | None = None
    for key, field in fields(thinned(), estimate, direction, where):
        while waiting and waiting[0].index < key.index + stride:
            yield waiting.popleft(), field
    for frame in waiting:
        yield frame, np.asarray(field)


def shrink(flow: NDArray[np.floating], factor: int) -> Field:
    """Return a field at 1/factor of the resolution: vectors averaged over the cells, then divided by the factor.

    The magnitude of the copy follows from these vectors; averaging magnitudes instead would overstate it where
    directions differ. Paper, section 3.4.
    """
    height, width = flow.shape[:2]
    if height % factor or width % factor:
        raise ValueError(f"a {width}x{height} field cannot be divided by {factor}")
    return resize_field(np.asarray(flow, np.float32), (width // factor, height // factor))


def resize_field(flow: Field, size: tuple[int, int]) -> Field:
    """Resize a field to (width, height), scaling u by the width ratio and v by the height ratio."""
    height, width = flow.shape[:2]
    shrinking = size[0] <= width and size[1] <= height
    resized = cv2.resize(flow, size, interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR)
    scale = np.array([size[0] / width, size[1] / height], np.float32)
    return np.asarray(resized * scale, np.float32)
