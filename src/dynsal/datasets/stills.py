"""Data sets of still images: a *shard* of images stands where a video stands elsewhere.

Frame i of a shard is its i-th image, and its "time" is i seconds, which means nothing. So the steps after the download
make one file per shard and none per image. The images' names are kept in the clip (`dynsal.clips.Clip.names`).
"""

from __future__ import annotations

import abc
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from dynsal.datasets.base import Dataset, Decoded, Wanted
from dynsal.errors import DataError
from dynsal.gaze import Size
from dynsal.video import VideoInfo


class Stills(Dataset):
    """What data sets of still images, all of one size, share."""

    size: ClassVar[Size]
    """Width and height of every image."""

    @abc.abstractmethod
    def names(self, video: str) -> list[str]:
        """Return the file names of a shard's images, in the order of its frames."""

    @abc.abstractmethod
    def encoded(self, video: str, name: str) -> bytes:
        """Return one image's file.

        Raises
        ------
        DataError
            If it is missing or damaged.
        """

    def info(self, video: str) -> VideoInfo:
        """Return the images' size and number, at one per second."""
        return VideoInfo(*self.size, fps=1.0, container_frames=len(self.names(video)))

    def open_frames(self, video: str, wanted: Wanted | None = None) -> Decoded:
        """Return (index, H x W x 3 BGR) of every image; None for the picture of one that is not wanted."""
        for index, name in enumerate(self.names(video)):
            picture = None
            if wanted is None or wanted(index):
                picture = self._decode(name, self.encoded(video, name))
            yield float(index), picture

    def _decode(self, name: str, data: bytes) -> NDArray[np.uint8]:
        where, again = f"{self.root}: {name}", "Delete the original and fetch it again"
        # Orientation tags are ignored: gaze was recorded on the pixels as they are stored.
        flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
        if picture is None:
            raise DataError(where, "does not decode as an image", again)
        if picture.shape[1::-1] != self.size:
            found = "x".join(map(str, picture.shape[1::-1]))
            raise DataError(where, f"is {found}, but the gaze refers to {self.size[0]}x{self.size[1]}", again)
        return np.asarray(picture, np.uint8)
