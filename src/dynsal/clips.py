"""The HDF5 clip file: one per video and step, holding frames, flow, or both.

Layout: ``frame`` (n,) int32, index in the source video; ``time`` (n,) float64, seconds; ``jpeg`` (n,) variable-length
uint8, BGR frames of H x W; ``flow`` (n, H, W, 2) float16, u right and v down in pixels, rounded, one chunk per frame;
``name`` (n,) text, the file of each frame, for still images only. Facts (size, source size, estimator, ...) are
attributes of the file. Equal input gives equal bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import cv2
import h5py
import numpy as np
from numpy.typing import NDArray

from dynsal.errors import DataError
from dynsal.fileio import atomic, require_space

FLOW_STEP = 1 / 16
"""Rounding of stored flow in pixels at 640 pixels of width: a third of the space of raw float16, error 0.02 px."""

_BUFFER = 32


class ClipWriter:
    """Append frames and flow fields to an open clip file; use :func:`create`."""

    def __init__(
        self, handle: h5py.File, size: tuple[int, int], jpeg_quality: int | None, flow_step: float | None
    ) -> None:
        width, height = size
        self._handle = handle
        self.size = size
        self._quality = jpeg_quality
        self._rows: list[tuple[int, float, Any, Any]] = []
        self.count = 0
        handle.attrs.update(width=width, height=height)
        handle.create_dataset("frame", (0,), np.int32, maxshape=(None,), chunks=(1024,))
        handle.create_dataset("time", (0,), np.float64, maxshape=(None,), chunks=(1024,))
        if jpeg_quality is not None:
            handle.attrs["jpeg_quality"] = jpeg_quality
            handle.create_dataset("jpeg", (0,), h5py.vlen_dtype(np.uint8), maxshape=(None,), chunks=(64,))
        self._flow_step = flow_step
        if flow_step is not None:
            handle.attrs["flow_step"] = flow_step
            handle.create_dataset(
                "flow",
                (0, height, width, 2),
                np.float16,
                maxshape=(None, height, width, 2),
                chunks=(1, height, width, 2),
                compression="gzip",
                compression_opts=1,
                shuffle=True,
                fletcher32=True,
            )

    def append(
        self,
        index: int,
        time: float,
        bgr: NDArray[np.uint8] | None = None,
        flow: NDArray[np.floating] | None = None,
    ) -> None:
        """Add one frame: H x W x 3 uint8 BGR and/or H x W x 2 flow in pixels, as the file was created for."""
        jpeg: Any = None
        for array in (bgr, flow):
            if array is not None and array.shape[1::-1] != self.size:
                raise ValueError(f"frame {index} is {array.shape[1::-1]}, the clip {self.size}")
        if bgr is not None:
            ok, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, self._quality or 95])
            if not ok:
                raise RuntimeError(f"OpenCV could not encode frame {index}")
        self._rows.append(
            (index, time, jpeg, None if flow is None else round_flow(flow, self._flow_step or FLOW_STEP))
        )
        if len(self._rows) >= _BUFFER:
            self.flush()

    def frames(self) -> NDArray[np.int32]:
        """Return the source indices written so far."""
        self.flush()
        return np.asarray(self._handle["frame"][:])

    def flush(self) -> None:
        """Write the buffered frames."""
        if not self._rows:
            return
        needed = sum(part.nbytes for row in self._rows for part in row[2:] if part is not None)
        require_space(Path(self._handle.filename), needed)
        start, stop = self.count, self.count + len(self._rows)
        for name, column in (("frame", 0), ("time", 1), ("jpeg", 2), ("flow", 3)):
            if name not in self._handle:
                continue
            values: list[Any] = [row[column] for row in self._rows]
            dataset = self._handle[name]
            dataset.resize(stop, axis=0)
            if name == "jpeg":
                # One by one: h5py takes a list of buffers of equal length for a two-dimensional array.
                for row, value in enumerate(values, start):
                    dataset[row] = value.ravel()
            else:
                dataset[start:stop] = np.stack(values)
        self.count = stop
        self._rows.clear()


@contextmanager
def create(
    path: Path, size: tuple[int, int], jpeg_quality: int | None = None, flow_step: float | None = None
) -> Iterator[ClipWriter]:
    """Create a clip file of (width, height); it appears under its name only when the block succeeds.

    Set attributes through :func:`describe` before the block ends. A clip without any frame is an error.
    """
    with atomic(path) as part, _new(part) as handle:
        writer = ClipWriter(handle, size, jpeg_quality, flow_step)
        yield writer
        writer.flush()
        if not writer.count:
            raise DataError(path, "no frame was written to it", "Check the source video with `ffprobe`")


def _new(part: Path) -> h5py.File:
    require_space(part)
    return h5py.File(part, "w")


def describe(writer: ClipWriter, **attributes: Any) -> None:
    """Store facts about the clip as attributes of the file."""
    writer._handle.attrs.update(attributes)


def name_frames(writer: ClipWriter, names: Sequence[str]) -> None:
    """Store the name of every frame: the file of a still image, by which the others know it.

    Raises
    ------
    ValueError
        Unless there is one name for each frame written so far.
    """
    writer.flush()
    if len(names) != writer.count:
        raise ValueError(f"{len(names)} names for {writer.count} frames")
    writer._handle.create_dataset("name", data=list(names), dtype=h5py.string_dtype())


def flow_step(width: int) -> float:
    """Return the rounding of flow at a width: :data:`FLOW_STEP` scaled down with the picture, to a power of two.

    Motion shrinks with the picture; a fixed step would erase the slow motion of small clips.
    """
    return 2.0 ** math.floor(math.log2(FLOW_STEP * min(1.0, width / 640)))


def round_flow(flow: NDArray[np.floating], step: float) -> NDArray[np.float16]:
    """Round a field to multiples of ``step``, a power of two; exact in float16 up to 2048 steps per component."""
    return (np.round(np.asarray(flow, np.float32) / step) * step).astype(np.float16)


class Clip:
    """Read access to one clip file, by position (0 .. len - 1).

    Raises
    ------
    DataError
        If the file is missing, damaged or incomplete.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        remedy = "Delete it and run the same command again"
        try:
            self._handle = h5py.File(self.path, "r")
            self.attrs: dict[str, Any] = dict(self._handle.attrs)
            self.frames: NDArray[np.int32] = self._handle["frame"][:]
            self.times: NDArray[np.float64] = self._handle["time"][:]
            self.names: list[str] = self._handle["name"].asstr()[:].tolist() if "name" in self._handle else []
            self.size: tuple[int, int] = (int(self.attrs["width"]), int(self.attrs["height"]))
            # Looked up once: finding a data set by name costs as much as reading a small frame.
            self._jpeg = self._handle.get("jpeg")
            self._flow = self._handle.get("flow")
        except FileNotFoundError:
            raise DataError(
                self.path, "no such clip", "Make it with `snakemake --cores 1 <this path>`"
            ) from None
        except (OSError, KeyError) as error:
            raise DataError(self.path, f"not a readable clip ({error})", remedy) from None

    def __len__(self) -> int:
        return len(self.frames)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._handle.close()

    def bgr(self, position: int) -> NDArray[np.uint8]:
        """Return one frame, H x W x 3 uint8 BGR."""
        image = cv2.imdecode(self._jpeg[position], cv2.IMREAD_COLOR)
        if image is None:
            raise DataError(self.path, f"frame {position} does not decode", "Delete the file and run again")
        return np.asarray(image, np.uint8)

    def flow(self, position: int) -> NDArray[np.float16]:
        """Return one field, H x W x 2 float16, u and v in pixels."""
        try:
            return np.asarray(self._flow[position])
        except OSError as error:
            raise DataError(
                self.path, f"field {position} is damaged ({error})", "Delete the file and run again"
            ) from None
