"""The outputs of `dynsal predict` but for the video, each fed one frame at a time: HDF5, CSV, 16-bit PNG, a picture."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import h5py
import numpy as np
from numpy.typing import NDArray

from dynsal import heat
from dynsal.fileio import require_space
from dynsal.map_facts import MapFacts, map_facts
from dynsal.maps import MapWriter
from dynsal.pictures import Source
from dynsal.video import resize

PNG_MAX = 65535
SCALE_FILE = "scale.csv"


@dataclass(frozen=True, slots=True)
class Predicted:
    """What outputs get of a frame."""

    index: int
    time: float
    """Seconds."""
    pts: int
    """In units of the source's time base."""
    planes: heat.Planes | None
    """The picture, if an overlay is wanted."""
    saliency: NDArray[np.floating[Any]]
    """The map on the model's own grid."""


class Output(Protocol):
    """One file (or folder) being written."""

    def add(self, frame: Predicted) -> None:
        """Write the next frame."""
        ...

    def close(self, whole: bool = True) -> None:
        """Finish the file, so that it can be read as far as it goes; ``whole`` is false after an interruption."""
        ...


class OverlayPicture:
    """The overlay of a single image, as a picture in the format of the suffix."""

    def __init__(self, path: Path, suffix: str, source: Source, side_by_side: bool) -> None:
        self._path, self._suffix, self._source, self._side_by_side = path, suffix, source, side_by_side

    def add(self, frame: Predicted) -> None:
        """Write the picture."""
        if frame.planes is None:
            raise ValueError("an overlay needs the picture")
        width, height = self._source.size
        planes = heat.lay_over(frame.planes, frame.saliency, (width, height))
        pictures = [heat.bgr_of(one)[:height, :width] for one in (frame.planes, planes)]
        shown = np.hstack(pictures) if self._side_by_side else pictures[1]
        _write_image(self._path, self._suffix, shown)

    def close(self, whole: bool = True) -> None:
        """Nothing is open."""


class MapsHdf5:
    """The maps at the source's size, as `dynsal.maps` describes; with ``time``, and the facts as attributes."""

    def __init__(self, path: Path, source: Source, facts: dict[str, Any]) -> None:
        self._source = source
        self._handle = h5py.File(path, "w")
        self._handle.attrs.update(facts)
        self._maps = MapWriter(self._handle, path)
        self._times = self._handle.create_dataset("time", (0,), np.float64, maxshape=(None,), chunks=(1024,))

    def add(self, frame: Predicted) -> None:
        """Append the map."""
        self._maps.append(frame.index, resize(np.asarray(frame.saliency, np.float32), self._source.size))
        self._times.resize(len(self._times) + 1, axis=0)
        self._times[-1] = frame.time

    def close(self, whole: bool = True) -> None:
        """Write what the damage was and whether all is there, and close the file."""
        damage = self._source.damage
        self._handle.attrs.update(
            complete=whole, missing_frames=damage.missing, damaged_frames=damage.flagged, cut_short=damage.cut
        )
        self._handle.close()


class MapsPng:
    """A folder of 16-bit PNG, one per frame: map = value / 65535 * scale, with the scales in ``scale.csv``."""

    def __init__(self, folder: Path, source: Source) -> None:
        self._folder, self._source = folder, source
        self._stream = (folder / SCALE_FILE).open("w", newline="", encoding="utf-8")
        self._rows = csv.writer(self._stream, lineterminator="\n")
        self._rows.writerow(["file", "frame", "time", "scale"])

    def add(self, frame: Predicted) -> None:
        """Write a map."""
        full = resize(np.asarray(frame.saliency, np.float32), self._source.size)
        scale = float(full.max())
        coded = np.rint(full * (PNG_MAX / scale)) if scale > 0 else np.zeros_like(full)
        name = f"{frame.index:06d}.png"
        require_space(self._folder / name, full.size * 2)
        _write_image(self._folder / name, ".png", coded.astype(np.uint16))
        self._rows.writerow([name, frame.index, f"{frame.time:.6f}", f"{scale:.9g}"])

    def close(self, whole: bool = True) -> None:
        """Close the file of scales."""
        self._stream.close()

    @staticmethod
    def owned(name: str) -> bool:
        """Whether such a folder may hold a file of that name."""
        return name == SCALE_FILE or re.fullmatch(r"\d{6,}\.png", name) is not None


class FactsCsv:
    """One row per frame: its time in seconds and the columns of `dynsal.map_facts.MapFacts`."""

    def __init__(self, path: Path, source: Source) -> None:
        self._source = source
        self._stream = path.open("w", newline="", encoding="utf-8")
        self._rows = csv.writer(self._stream, lineterminator="\n")
        self._rows.writerow(["frame", "time", *MapFacts._fields])

    def add(self, frame: Predicted) -> None:
        """Write a row."""
        facts = map_facts(frame.saliency, self._source.size)
        self._rows.writerow([frame.index, f"{frame.time:.6f}", *(f"{value:.6g}" for value in facts)])

    def close(self, whole: bool = True) -> None:
        """Close the file."""
        self._stream.close()


def _write_image(path: Path, suffix: str, picture: NDArray[Any]) -> None:
    options = [cv2.IMWRITE_PNG_COMPRESSION, 1] if suffix == ".png" else []
    done, data = cv2.imencode(suffix, picture, options)
    if not done:
        raise ValueError(f"OpenCV cannot write {suffix}")
    path.write_bytes(data.tobytes())
