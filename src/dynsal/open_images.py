"""Still images as a source of pictures: one image alone, or several as the frames of a video."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from dynsal.errors import DataError
from dynsal.open_video import on_black
from dynsal.pictures import Damage, Picture
from dynsal.video import resize


class OpenImages:
    """Image files as a `dynsal.pictures.Source`, in the order given; those that cannot be read are left out and counted.

    Parameters
    ----------
    paths
        At least one.
    name
        How to call them.
    rate
        Frames per second.

    Raises
    ------
    DataError
        If none can be read.
    """

    def __init__(self, paths: Sequence[Path], name: str, rate: Fraction = Fraction(25)) -> None:
        self.name, self.rate, self.time_base = name, rate, 1 / rate
        self.aspect, self.rotation, self.start = Fraction(1), 0, Fraction(0)
        self.sound: Path | None = None
        self.expected = len(paths)
        self.damage = Damage()
        self._pictures = self._read(paths)
        first = next(self._pictures, None)
        if first is None:
            raise DataError(paths[0], "cannot be read as an image", "Check the file, or convert it to PNG")
        self.size = (first.shape[1], first.shape[0])
        self._first: NDArray[np.uint8] | None = first

    def __iter__(self) -> Iterator[Picture]:
        """Yield every image that can be read."""
        index = 0
        bgr, self._first = self._first, None
        while bgr is not None:
            if bgr.shape[1::-1] != self.size:
                self.damage.resized += 1
                bgr = resize(bgr, self.size)
            yield Picture(index, float(index / self.rate), bgr, index)
            index += 1
            bgr = next(self._pictures, None)

    def close(self) -> None:
        """Nothing is open between two images."""

    def _read(self, paths: Sequence[Path]) -> Iterator[NDArray[np.uint8]]:
        for path in paths:
            bgr = read_image(path)
            if bgr is None:
                self.damage.missing += 1
            else:
                yield bgr


def read_image(path: Path) -> NDArray[np.uint8] | None:
    """Return an image as H x W x 3 uint8 BGR, turned as its EXIF data say, what is transparent on black; None if it is none."""
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError:
        return None
    if not data.size:
        return None
    try:
        raw = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
        if raw is not None and raw.ndim == 3 and raw.shape[2] == 4:
            bits = np.asarray(raw)
            return on_black((bits // 257 if bits.dtype == np.uint16 else bits).astype(np.uint8))
        bgr = cv2.imdecode(data, cv2.IMREAD_COLOR)
    except cv2.error:
        return None
    return None if bgr is None else np.asarray(bgr, np.uint8)
