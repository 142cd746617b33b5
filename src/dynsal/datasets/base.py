"""The contract of a data set: where its videos are, what they show, and where people looked.

Still images come in through the same contract, many to a "video": see `dynsal.datasets.stills`.

Coordinates: see `dynsal.gaze`. Readers return source pixels with pixel centres at integers; what a recording calls
position p on a screen whose movie starts at ``offset`` is ``p - offset - 0.5``.
"""

from __future__ import annotations

import abc
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dynsal import layout
from dynsal.config import DatasetConfig
from dynsal.errors import DataError
from dynsal.gaze import Gaze
from dynsal.video import VideoInfo, Wanted, probe

__all__ = ["Dataset", "Decoded", "Gaze", "Wanted", "checked_frames"]

Decoded = Iterator[tuple[float, NDArray[np.uint8] | None]]
"""What :func:`dynsal.video.decode` yields."""


class Dataset(abc.ABC):
    """One data set, read from a folder of downloaded (or generated) original files.

    Parameters
    ----------
    root
        ``results/<data set>/raw``.
    config
        The section ``dataset`` of the configuration.
    """

    name: ClassVar[str]
    px_per_deg: ClassVar[float]
    """Pixels of the source video (or screen) per degree of visual angle."""

    def __init__(self, root: Path, config: DatasetConfig) -> None:
        self.root = Path(root)
        self.config = config

    def files(self) -> list[layout.RegistryRow]:
        """Return the registered files with their addresses and checksums; none if nothing is fetched file by file."""
        return layout.registry(self.name) if layout.has_registry(self.name) else []

    def videos(self) -> dict[str, str]:
        """Return video -> 'train' or 'test' of the configured split."""
        return layout.split(self.config.split)

    def verify(self, video: str) -> None:  # noqa: B027  (most data sets verify every file by its checksum on arrival)
        """Check a video's files against the record made when they came, where there is one.

        Raises
        ------
        DataError
            If a file is missing or has another size than it had.
        """

    @abc.abstractmethod
    def video_file(self, video: str) -> Path:
        """Return the file with the video's pictures."""

    def info(self, video: str) -> VideoInfo:
        """Return size and frame rate of a video's pictures.

        Raises
        ------
        DataError
            If the file is missing or no video.
        """
        return probe(self.video_file(video))

    def names(self, video: str) -> list[str]:
        """Return the names of a video's frames where they have any: the files, for still images."""
        return []

    @abc.abstractmethod
    def open_frames(self, video: str, wanted: Wanted | None = None) -> Decoded:
        """Return (seconds, H x W x 3 BGR) of every frame, in order; None for the picture of one that is not wanted.

        Raises
        ------
        DataError
            If the file is missing, damaged (perhaps only while iterating), or not of the size the gaze refers to.
        """

    @abc.abstractmethod
    def fixations(self, video: str) -> Gaze:
        """Return the valid fixations and what was dropped.

        Raises
        ------
        DataError
            If the gaze data is missing or malformed, or holds no valid fixation.
        """


def checked_frames(path: Path, decoded: Decoded, listed: int, tolerance: int, source: str) -> Decoded:
    """Yield the first ``listed`` frames, decoding to the end so that damage is noticed.

    Raises
    ------
    DataError
        If the video has fewer than ``listed`` frames, or more than ``tolerance`` too many.
    """
    count = 0
    for count, frame in enumerate(decoded, 1):
        if count <= listed:
            yield frame
    if not listed <= count <= listed + tolerance:
        raise DataError(
            path,
            f"has {count} frames, but {source} says {listed}",
            "Delete it and fetch it again: it is another cut",
        )
