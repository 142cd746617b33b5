"""Training samples: frame, flow, target density and fixations of every usable frame of a set of clips."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from dynsal.clip_files import ClipFiles
from dynsal.clips import Clip
from dynsal.config import GazeConfig
from dynsal.errors import DataError
from dynsal.gaze import Points, density, fixation_bytes, read_gaze, scale_points


@dataclass(frozen=True)
class Source:
    """The files of one video at one resolution; the low-resolution copies hold frames and flow in one file."""

    frames: Path
    flow: Path | None
    """None: flow is zero everywhere."""
    gaze: Path

    def files(self) -> list[Path]:
        """Return the files, each once."""
        return sorted({self.frames, self.gaze} | ({self.flow} if self.flow else set()))


def sources(results: Path, videos: Sequence[str], factors: Sequence[int]) -> list[Source]:
    """Return the sources of the videos at the working size (factor 1) and at 1/factor of it."""
    found = []
    for factor in sorted(factors):
        for video in videos:
            gaze = results / "gaze" / f"{video}.parquet"
            if factor == 1:
                source = Source(results / "frames" / f"{video}.h5", results / "flow" / f"{video}.h5", gaze)
            else:
                copy = results / "augmented" / f"x{factor}" / f"{video}.h5"
                source = Source(copy, copy, gaze)
            found.append(source)
    return found


def still_sources(results: Path, shards: Sequence[str], motion: bool) -> list[Source]:
    """Return the sources of shards of still images, with the motion predicted for them or with none."""
    return [
        Source(
            results / "frames" / f"{shard}.h5",
            results / "flow" / f"{shard}.h5" if motion else None,
            results / "gaze" / f"{shard}.parquet",
        )
        for shard in shards
    ]


@dataclass(frozen=True)
class _Video:
    """A source with what its samples need: gaze at the clip's own size."""

    source: Source
    size: tuple[int, int]
    sigma: tuple[float, float]
    points: dict[int, Points]


class ClipSamples(Dataset[dict[str, torch.Tensor]]):
    """Map-style data set over the frames that have at least one fixation.

    Items are dictionaries of frame (3 x H x W uint8, BGR) and flow (2 x H x W float16, pixels), as far as they are
    asked for, density (1 x H x W float32, sums to 1) and fixations (1 x H x W uint8, counts). Files are opened on
    first use in each process, so loader workers never share a handle.

    Parameters
    ----------
    files
        Videos and resolutions.
    gaze
        Width of the density's Gaussian.
    inputs
        Which of "frame" and "flow" the net looks at; the others are not read.

    Attributes
    ----------
    groups
        Lists of indices of equal resolution; a batch must come from one of them.
    files
        The open clips.
    without_fixation
        Number of frames left out because nobody fixated anything in them.

    Raises
    ------
    DataError
        If files do not belong together, or no frame has a fixation.
    """

    def __init__(self, files: Sequence[Source], gaze: GazeConfig, inputs: Collection[str]) -> None:
        self._inputs = frozenset(inputs)
        self.files = ClipFiles()
        self._videos: list[_Video] = []
        self._items: list[tuple[int, int, int]] = []
        self.without_fixation = 0
        by_size: dict[tuple[int, int], list[int]] = {}
        for source in files:
            with Clip(source.frames) as frames:
                size, indices = frames.size, frames.frames
            if source.flow is not None:
                with Clip(source.flow) as flow:
                    if size != flow.size or not np.array_equal(indices, flow.frames):
                        raise DataError(
                            source.flow,
                            f"does not match {source.frames}",
                            "Delete both and run the same command again",
                        )
            recorded = read_gaze(source.gaze)
            points = {
                frame: scale_points(recorded.points[frame], recorded.size[0] / size[0])
                for frame in indices.tolist()
                if frame in recorded.points
            }
            group = by_size.setdefault(size, [])
            for position, frame in enumerate(indices.tolist()):
                if frame in points:
                    group.append(len(self._items))
                    self._items.append((len(self._videos), position, frame))
                else:
                    self.without_fixation += 1
            sigma = recorded.sigma(gaze.sigma_deg, gaze.px_per_deg, size)
            self._videos.append(_Video(source, size, sigma, points))
        if not self._items:
            raise DataError(files[0].gaze, "no kept frame has a fixation to train on", "Check the gaze files")
        self.groups: list[list[int]] = [by_size[size] for size in sorted(by_size, reverse=True)]

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, item: int) -> dict[str, torch.Tensor]:
        number, position, frame = self._items[item]
        video = self._videos[number]
        points = video.points[frame]
        arrays: dict[str, NDArray[Any]] = {
            "density": density(points, video.size, video.sigma).astype(np.float32)[None],
            "fixations": fixation_bytes(points, video.size)[None],
        }
        if "frame" in self._inputs:
            arrays["frame"] = planes(self.files[video.source.frames].bgr(position))
        if "flow" in self._inputs:
            width, height = video.size
            arrays["flow"] = (
                np.zeros((2, height, width), np.float16)
                if video.source.flow is None
                else planes(self.files[video.source.flow].flow(position))
            )
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    def clips(self) -> set[Path]:
        """Return the files that the samples are read from."""
        found: set[Path] = set()
        for number in {number for number, _, _ in self._items}:
            source = self._videos[number].source
            if "frame" in self._inputs:
                found.add(source.frames)
            if "flow" in self._inputs and source.flow is not None:
                found.add(source.flow)
        return found

    def evenly_spaced(self, count: int) -> Self:
        """Return a view of at most ``count`` samples of a data set of one resolution."""
        chosen = np.unique(np.linspace(0, len(self) - 1, min(count, len(self))).round().astype(int))
        view = type(self).__new__(type(self))
        view.__dict__.update(self.__dict__)
        view._items = [self._items[index] for index in chosen]
        view.groups = [list(range(len(view._items)))]
        return view


def planes(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return H x W x C values of one or two bytes as C x H x W; OpenCV is six times as fast at it as a copy by NumPy."""
    kind = np.uint8 if pixels.itemsize == 1 else np.uint16
    out = np.empty((pixels.shape[2], *pixels.shape[:2]), kind)
    cv2.split(pixels.view(kind), list(out))
    return out.view(pixels.dtype)
