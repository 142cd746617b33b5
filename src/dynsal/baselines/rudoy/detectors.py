"""Faces and people in a frame, by OpenCV's detectors. Boxes are (left, top, right, bottom), pixel centres at integers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from dynsal.errors import DataError

Floats = NDArray[np.float64]

FACE_FILE = "haarcascade_frontalface_alt2.xml"
_OVERLAP = 0.5
_ENLARGED = 2
"""Frames are enlarged for the people detector, whose window has 64 x 128 pixels."""
_MARGIN = np.array([16 / 64, 16 / 128])
"""What lies around the person on each side of that window, relative to its width and height."""


class Detections(NamedTuple):
    """What a detector found."""

    boxes: Floats
    """N x 4."""
    scores: Floats
    """N; the larger, the surer."""


NOTHING = Detections(np.empty((0, 4)), np.empty(0))


class FaceDetector:
    """OpenCV's cascade for frontal faces on the grey frame. It gives no scores: all are 1, as in the release.

    Parameters
    ----------
    path
        The cascade, `FACE_FILE` of OpenCV's sources; the Python wheels come without it.

    Raises
    ------
    DataError
        If the file is missing or no cascade.
    """

    def __init__(self, path: Path | None) -> None:
        remedy = f"Get {FACE_FILE} of OpenCV (data/haarcascades), or set faces: false"
        if path is None or not Path(path).is_file():
            raise DataError(path or FACE_FILE, "the face cascade is missing", remedy)
        self._cascade: Any = cv2.CascadeClassifier()
        try:
            loaded = self._cascade.load(str(path))
        except cv2.error as error:
            raise DataError(path, "is no cascade that OpenCV can read", remedy) from error
        if not loaded:
            raise DataError(path, "is no cascade that OpenCV can read", remedy)

    def __call__(self, grey: NDArray[np.uint8]) -> Detections:
        """Return the faces of an H x W grey frame, largest first."""
        found = np.asarray(self._cascade.detectMultiScale(grey), np.float64).reshape(-1, 4)
        found = found[np.lexsort((found[:, 0], found[:, 1], -found[:, 2] * found[:, 3]))]
        return Detections(_edges(found), np.ones(len(found)))


class PeopleDetector:
    """OpenCV's histogram-of-gradients detector, on the frame enlarged twice.

    Its windows are cut to the person (without the margin that it was trained with) and come all, before any
    suppression; scores are distances to the hyperplane, above 0.
    """

    def __init__(self) -> None:
        self._hog: Any = cv2.HOGDescriptor()
        self._hog.setSVMDetector(np.asarray(cv2.HOGDescriptor.getDefaultPeopleDetector(), np.float32))

    def __call__(self, bgr: NDArray[np.uint8]) -> Detections:
        """Return the people of an H x W x 3 frame, surest first."""
        size = (bgr.shape[1] * _ENLARGED, bgr.shape[0] * _ENLARGED)
        if size[0] < self._hog.winSize[0] or size[1] < self._hog.winSize[1]:
            return NOTHING
        large = cv2.resize(bgr, size, interpolation=cv2.INTER_CUBIC)
        windows, weights = self._hog.detectMultiScale(large, winStride=(8, 8), scale=1.05, groupThreshold=0)
        found = np.asarray(windows, np.float64).reshape(-1, 4)
        scores = np.asarray(weights, np.float64).reshape(-1)
        # OpenCV's threads deliver in any order.
        order = np.lexsort((found[:, 2], found[:, 1], found[:, 0], -scores))
        found, scores = found[order] / _ENLARGED, scores[order]
        trim = found[:, 2:] * _MARGIN
        return Detections(_edges(np.hstack([found[:, :2] + trim, found[:, 2:] - 2 * trim])), scores)


def suppress(found: Detections, least: float) -> Detections:
    """Return the detections that score above ``least``, without those that a surer one overlaps by more than half.

    Overlap is intersection over union. Stands for the mean-shift suppression of the release.
    """
    corner, extent = found.boxes[:, :2], found.boxes[:, 2:] - found.boxes[:, :2]
    rows = np.hstack([corner, extent]).tolist()
    kept = np.asarray(cv2.dnn.NMSBoxes(rows, found.scores.tolist(), least, _OVERLAP), int).reshape(-1)
    return Detections(found.boxes[kept], found.scores[kept])


def _edges(boxes: Floats) -> Floats:
    """Return (left, top, right, bottom) of OpenCV's (x, y, width, height), which count pixels from their corners."""
    return np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]]) - 0.5
