"""What Rudoy et al. measure in a frame before anything is decided: flow, saliency, faces and people.

Everything runs at the small scale of the authors' copy of DIEM, about 144 rows; the pixel constants of the other
modules belong to it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from dynsal.baselines.gbvs import Gbvs
from dynsal.baselines.gbvs_frames import checked
from dynsal.baselines.rudoy.detectors import FACE_FILE, NOTHING, Detections, FaceDetector, PeopleDetector
from dynsal.config_baselines import GbvsOptions, RudoyOptions
from dynsal.errors import DataError
from dynsal.flow import estimator
from dynsal.prepare import Frame
from dynsal.video import resize

HEIGHT = 144
"""Rows of the working scale; lower frames keep theirs."""
LAG = 2
"""Frames back to which the flow leads."""
_SMALLEST = 16
"""Side below which flow and detectors have no level to start from."""


@dataclass(frozen=True)
class Evidence:
    """What was measured in one frame at the working scale."""

    grey: NDArray[np.uint8]
    """H x W."""
    flow: NDArray[np.float32]
    """H x W x 2 (u right, v down), pixels, from the frame to the one two before it; zero where there is none."""
    static: NDArray[np.float64]
    """H x W, the GBVS map, zero for frames of little contrast."""
    faces: Detections
    people: Detections

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.grey.shape[1], self.grey.shape[0]


def working_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return (width, height) of the working scale: at most `HEIGHT` rows, same aspect, sides up to multiples of 4."""
    width, height = size
    scale = min(1.0, HEIGHT / height)
    return _fours(width * scale), _fours(height * scale)


def _fours(side: float) -> int:
    return 4 * int(np.ceil(round(side, 6) / 4))


class Observer:
    """Measures frames; the detectors and the flow estimator of one configuration.

    Raises
    ------
    DataError
        If faces are asked for and their cascade is missing or unreadable.
    """

    def __init__(self, options: RudoyOptions, files: Mapping[str, Path]) -> None:
        self._flow = estimator(options.flow)
        self._static = Gbvs(GbvsOptions(blank_flat=True), {})
        self._faces = FaceDetector(files.get(FACE_FILE)) if options.faces else None
        self._people = PeopleDetector() if options.people else None

    def measure(self, bgr: NDArray[np.uint8], before: NDArray[np.uint8] | None) -> Evidence:
        """Return the evidence of a frame at the working scale, given the one `LAG` frames before it, if any."""
        grey = _grey(bgr)
        flow = np.zeros((*grey.shape, 2), np.float32)
        if before is not None:
            flow = np.nan_to_num(self._flow(grey, _grey(before)))
        ((_, static),) = self._static.maps([Frame(0, 0.0, bgr, True)])
        return Evidence(
            grey,
            flow,
            static.astype(np.float64),
            self._faces(grey) if self._faces else NOTHING,
            self._people(bgr) if self._people else NOTHING,
        )

    def watch(
        self, frames: Iterable[Frame], wanted: Callable[[int, Frame], bool]
    ) -> Iterator[tuple[int, Frame, Evidence]]:
        """Yield position, frame and evidence of the wanted frames; all frames given count for the flow.

        Parameters
        ----------
        frames
            Consecutive frames of one video, of one size.
        wanted
            Whether a frame, by its position among those given and itself, is to be measured.

        Raises
        ------
        DataError
            If frames differ in size, or are too small or too elongated.
        """
        recent: deque[Frame] = deque(maxlen=LAG + 1)
        for position, frame in enumerate(checked(frames)):
            recent.append(frame)
            if wanted(position, frame):
                size = working_size((frame.bgr.shape[1], frame.bgr.shape[0]))
                if min(size) < _SMALLEST:
                    raise DataError(
                        f"frame {frame.index}",
                        f"is {frame.bgr.shape[1]} x {frame.bgr.shape[0]} pixels, too few for its flow",
                        f"Use frames of at least {_SMALLEST} x {_SMALLEST} pixels, not too elongated",
                    )
                before = resize(recent[0].bgr, size) if len(recent) > LAG else None
                yield position, frame, self.measure(resize(frame.bgr, size), before)


def _grey(bgr: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY), np.uint8)
