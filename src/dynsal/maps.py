"""Files of saliency maps: HDF5 with ``saliency`` (n x H x W float32) and ``frame`` (n, index in the source video).

What `dynsal predict` writes and `dynsal score` reads; a stable format for programs of other people, who may write it
too. Facts (model, video, ...) are attributes of the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from dynsal.errors import DataError
from dynsal.fileio import atomic, require_space

Map = NDArray[np.floating[Any]]


def write_maps(path: Path, maps: Iterable[tuple[int, Map]], **facts: Any) -> int:
    """Write (frame, H x W map) one by one as they come; return how many. The file appears only when all are written.

    Parameters
    ----------
    path
        The file.
    maps
        Frames in rising order, maps of one size.
    facts
        Attributes of the file.

    Raises
    ------
    DataError
        If there is no map, or no space left.
    ValueError
        If maps differ in size or frames do not rise.
    """
    with create_maps(path, **facts) as append:
        count = 0
        for frame, saliency in maps:
            append(frame, saliency)
            count += 1
    return count


@contextmanager
def create_maps(path: Path, **facts: Any) -> Iterator[Any]:
    """Yield a function ``append(frame, map)`` for a file that appears when the block succeeds; see `write_maps`."""
    with atomic(Path(path)) as part, h5py.File(part, "w") as handle:
        handle.attrs.update(facts)
        writer = MapWriter(handle, Path(part))
        yield writer.append
        if not len(writer):
            raise DataError(path, "there is no map to write", "Check the input of this step")


class MapWriter:
    """Appends maps to an open file.

    Parameters
    ----------
    handle
        HDF5 file open for writing.
    path
        Its path, to watch the space that is left.
    """

    def __init__(self, handle: h5py.File, path: Path) -> None:
        self._handle, self._path = handle, path
        self._frames = handle.create_dataset("frame", (0,), np.int32, maxshape=(None,), chunks=(1024,))

    def append(self, frame: int, saliency: Map) -> None:
        """Append a map.

        Raises
        ------
        ValueError
            If it differs in size from those before, or its frame is not later.
        """
        require_space(self._path, saliency.size * 4)
        count = len(self._frames)
        if not count:
            self._handle.create_dataset(
                "saliency", (0, *saliency.shape), np.float32, maxshape=(None, *saliency.shape),
                chunks=(1, *saliency.shape), compression="gzip", compression_opts=1, shuffle=True,
            )  # fmt: skip
        stored = self._handle["saliency"]
        if saliency.shape != stored.shape[1:]:
            raise ValueError(f"the map of frame {frame} is {saliency.shape}, those before {stored.shape[1:]}")
        if count and frame <= self._frames[count - 1]:
            raise ValueError(f"frame {frame} came after frame {self._frames[count - 1]}")
        self._frames.resize(count + 1, axis=0)
        stored.resize(count + 1, axis=0)
        self._frames[count], stored[count] = frame, saliency

    def __len__(self) -> int:
        return len(self._frames)


class MapFile:
    """Read access to a file of maps, one map at a time.

    Raises
    ------
    DataError
        If the file is missing or not of this format.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        try:
            self._handle = h5py.File(self.path, "r")
        except OSError as error:
            raise DataError(self.path, f"cannot be read as HDF5 ({error})", "Write it again") from None
        stored, frames = self._handle.get("saliency"), self._handle.get("frame")
        if stored is None or frames is None or stored.ndim != 3 or frames.shape != stored.shape[:1]:
            raise DataError(
                self.path,
                "is no file of maps",
                "It needs saliency (n x H x W) and frame (n), as `dynsal predict --out maps.h5` writes them",
            )
        self.frames: NDArray[np.int64] = np.asarray(frames[()], np.int64)
        if (np.diff(self.frames) <= 0).any():
            raise DataError(self.path, "its frames do not rise", "Sort them, and keep each once")
        self._saliency = stored
        self.size: tuple[int, int] = (int(stored.shape[2]), int(stored.shape[1]))
        """Width and height."""
        self.attrs: dict[str, Any] = dict(self._handle.attrs)

    def __iter__(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Yield every frame with its map."""
        for position, frame in enumerate(self.frames.tolist()):
            yield frame, self[position]

    def __getitem__(self, position: int) -> NDArray[np.float32]:
        """Return a map by its position in the file; finite and >= 0, or a DataError."""
        found = np.asarray(self._saliency[position], np.float32)
        if not np.isfinite(found).all() or (found < 0).any():
            raise DataError(
                self.path,
                f"the map of frame {self.frames[position]} has values that are negative or not finite",
                "Saliency is >= 0: decode or clip it before writing",
            )
        return found

    def __len__(self) -> int:
        return len(self.frames)

    def close(self) -> None:
        """Close the file."""
        self._handle.close()
