"""Motion over five frames, the camera's removed: what the static flow net learns to see in a single frame.

Walker, Gupta, Hebert 2015 sum the flows of five consecutive frames, each warped into the first one. The unit is pixels
over five frames at 320x240, whatever the size and rate of the video.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from dynsal.camera_motion import Field, pixel_grid, remove_camera
from dynsal.errors import DataError
from dynsal.flow import Estimator
from dynsal.prepare import Frame

SIZE = (320, 240)
"""Width and height at which motion is measured."""
SPAN = 5
"""Fields in a sum."""


class Labelled(NamedTuple):
    """A frame and the motion that follows it."""

    frame: Frame
    motion: Field
    """H x W x 2, pixels over :data:`SPAN` frames."""


def chain(fields: Sequence[NDArray[np.floating]]) -> Field:
    """Return the sum of consecutive fields along the paths of the first frame's pixels, the camera's part removed.

    Parameters
    ----------
    fields
        Field k runs from frame k to frame k + 1 on the grid of frame k; each H x W x 2 in pixels.

    Returns
    -------
    numpy.ndarray
        H x W x 2 on the grid of the first frame: what is left of every field where the pixel has come to, summed. Paths
        that leave the picture go on with its border.
    """
    height, width = fields[0].shape[:2]
    place = pixel_grid(height, width)
    total = np.zeros((height, width, 2), np.float32)
    for field in fields:
        whole = np.asarray(field, np.float32)
        both = np.dstack([whole, remove_camera(whole)])
        x, y = np.ascontiguousarray(place[..., 0]), np.ascontiguousarray(place[..., 1])
        here = np.asarray(cv2.remap(both, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))
        place = place + here[..., :2]
        total += here[..., 2:]
    return total


def labelled(frames: Iterable[Frame], estimate: Estimator, step: int, where: str) -> Iterator[Labelled]:
    """Yield every ``step``-th frame of a video that has :data:`SPAN` successors, with its motion.

    Parameters
    ----------
    frames
        Consecutive frames of :data:`SIZE`.
    estimate
        Flow between two grey frames.
    step
        Distance of the frames that get a label.
    where
        Name of the video, for messages.

    Raises
    ------
    DataError
        If the video has no more than :data:`SPAN` frames.
    """
    held: deque[tuple[Frame, NDArray[np.uint8]]] = deque(maxlen=SPAN + 1)
    fields: dict[int, Field] = {}
    count = 0
    for count, frame in enumerate(frames, 1):
        held.append((frame, np.asarray(cv2.cvtColor(frame.bgr, cv2.COLOR_BGR2GRAY), np.uint8)))
        first = count - 1 - SPAN
        if first < 0 or first % step:
            continue
        greys = [grey for _, grey in held]
        for k in range(SPAN):  # a field may serve several sums
            if first + k not in fields:
                fields[first + k] = estimate(greys[k], greys[k + 1])
        yield Labelled(held[0][0], chain([fields[first + k] for k in range(SPAN)]))
        fields = {number: field for number, field in fields.items() if number >= first + step}
    if count <= SPAN:
        raise DataError(
            where,
            f"has {count} frames (after thinning), too few for motion over {SPAN}",
            "Leave the video out of the split list",
        )
