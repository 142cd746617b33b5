"""Gaze: from fixations in source pixels to points and density maps at the working size.

Coordinates, in one place
-------------------------
x runs right, y runs down, and **pixel centres lie at integers**, in source pixels as in working pixels: pixel i covers
[i - 0.5, i + 0.5), and the pixel of a point is ``floor(x + 0.5)``. Eye trackers record positions on a continuous
screen on which pixel i covers [i, i + 1). Readers therefore subtract 0.5 from what is recorded (after any offset),
and `to_working` maps x' = (x + 0.5) W / w - 0.5, so that the pixel of a point at the working size is
``floor(recorded * W / w)``, the rule of the protocol.
"""

from __future__ import annotations

import functools
import json
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dynsal.errors import DataError
from dynsal.fileio import atomic

log = logging.getLogger(__name__)

Size = tuple[int, int]
"""Width and height in pixels."""
Points = NDArray[np.float64]
"""K x 2, columns x and y, pixel centres at integers."""

COLUMNS = ("frame", "subject", "x", "y")
GAP_WARNING = 5
"""Frames by which gaze and video may differ in length without a warning; DIEM's event files end 1-2 early."""
_KEY = b"dynsal"


@dataclass(frozen=True)
class Gaze:
    """The valid fixations of one video, in source pixels.

    Parameters
    ----------
    table
        Columns frame (int32, source frame from 0), subject (text), x, y (float64), sorted by frame.
    dropped
        Reason -> number of recorded rows left out for it; every reason that the reader knows, 0 if it never occurred.
    n_frames
        Number of frames that the gaze data speaks of.
    source_size
        Width and height that x and y refer to.
    """

    table: pd.DataFrame
    dropped: dict[str, int]
    n_frames: int
    source_size: Size


@dataclass(frozen=True)
class GazeFile:
    """A gaze file as `read_gaze` returns it: points in working pixels and where they come from."""

    table: pd.DataFrame
    dropped: dict[str, int]
    n_frames: int
    source_size: Size
    size: Size
    px_per_deg: float
    """Source pixels per degree of visual angle, by the data set's account."""
    video: str

    @functools.cached_property
    def points(self) -> dict[int, Points]:
        """Frame -> its points; frames without a fixation are no keys."""
        return by_frame(self.table)

    @functools.cached_property
    def subjects(self) -> dict[int, NDArray[Any]]:
        """Frame -> the viewers of its points, in the same order."""
        return _group(self.table["frame"].to_numpy(), self.table["subject"].to_numpy(dtype=object))

    def sigma(
        self, sigma_deg: float, px_per_deg: float | None = None, size: Size | None = None
    ) -> tuple[float, float]:
        """Return the Gaussian's (sx, sy) in pixels of ``size``; None takes the file's own values."""
        return sigma_px(sigma_deg, px_per_deg or self.px_per_deg, self.source_size, size or self.size)


def sort_table(frame: NDArray[Any], subject: NDArray[Any], x: NDArray[Any], y: NDArray[Any]) -> pd.DataFrame:
    """Return a gaze table from its columns, sorted by frame; equal frames keep their order."""
    order = np.argsort(frame, kind="stable")
    return pd.DataFrame(
        {
            "frame": frame[order].astype(np.int32),
            "subject": pd.Series(subject[order], dtype="str"),
            "x": x[order].astype(np.float64),
            "y": y[order].astype(np.float64),
        },
        copy=False,
    )


def require_fixations(gaze: Gaze, where: str | Path) -> Gaze:
    """Return the gaze unchanged.

    Raises
    ------
    DataError
        If no fixation is left, saying what was dropped.
    """
    if gaze.table.empty:
        reasons = ", ".join(f"{reason} {count}" for reason, count in gaze.dropped.items()) or "nothing"
        raise DataError(
            where,
            f"no valid fixation at all (rows dropped: {reasons})",
            "Leave the video out of the split, or check dataset.experiments, dataset.eyes and the gaze files",
        )
    return gaze


def clip_to_video(gaze: Gaze, n_decoded: int) -> Gaze:
    """Drop fixations in frames that the video does not have, and count them as ``after_video_end``.

    Lengths that differ by more than `GAP_WARNING` frames, either way, are logged as a warning.
    """
    gap = gaze.n_frames - n_decoded
    if abs(gap) > GAP_WARNING:
        log.warning("gaze covers %d frames, the video has %d (%+d)", gaze.n_frames, n_decoded, gap)
    inside = gaze.table["frame"] < n_decoded
    late = int((~inside).sum())
    dropped = {**gaze.dropped, "after_video_end": gaze.dropped.get("after_video_end", 0) + late}
    table = gaze.table[inside].reset_index(drop=True) if late else gaze.table
    return replace(gaze, table=table, dropped=dropped, n_frames=min(gaze.n_frames, n_decoded))


def to_working(table: pd.DataFrame, source_size: Size, size: Size) -> pd.DataFrame:
    """Return the table with x, y in pixels of ``size`` instead of ``source_size``."""
    scaled = {axis: (table[axis] + 0.5) * size[i] / source_size[i] - 0.5 for i, axis in enumerate(("x", "y"))}
    return table.assign(**scaled)


def scale_points(points: Points, factor: float) -> Points:
    """Return points of the low-resolution copy that is smaller by ``factor``."""
    return (points + 0.5) / factor - 0.5


def sigma_px(sigma_deg: float, px_per_deg: float, source_size: Size, size: Size) -> tuple[float, float]:
    """Return (sx, sy): the Gaussian of ``sigma_deg`` degrees, stretched as the picture is (aspect not kept)."""
    sigma = sigma_deg * px_per_deg
    return sigma * size[0] / source_size[0], sigma * size[1] / source_size[1]


def density(points: Points, size: Size, sigma: tuple[float, float]) -> NDArray[np.float64]:
    """Return the H x W sum of one Gaussian per point (multiplicity kept), divided by its sum.

    Exact: each Gaussian is the product of its two axes, evaluated at the pixel centres at sub-pixel precision, without
    truncation; so the whole map is one matrix product.

    Raises
    ------
    ValueError
        If there is no point, or all lie so far outside that nothing reaches the frame.
    """
    points = _checked(points)
    width, height = size
    across = np.exp(-0.5 * ((np.arange(width) - points[:, :1]) / sigma[0]) ** 2)
    down = np.exp(-0.5 * ((np.arange(height) - points[:, 1:]) / sigma[1]) ** 2)
    summed: NDArray[np.float64] = down.T @ across
    total = float(summed.sum())
    if not total > 0:
        raise ValueError("all points lie far outside the frame: no density there")
    summed /= total  # in place: at 640x480 a new array's pages cost as much as the division
    return summed


def fixation_counts(points: Points, size: Size) -> NDArray[np.int64]:
    """Return the H x W number of points in each pixel.

    Raises
    ------
    ValueError
        If there is no point, or one lies outside the frame.
    """
    counts = np.zeros((size[1], size[0]), np.int64)
    places, numbers = _counted(points, size)
    counts.ravel()[places] = numbers
    return counts


def fixation_bytes(points: Points, size: Size) -> NDArray[np.uint8]:
    """Return :func:`fixation_counts` up to 255, in an eighth of the memory.

    Raises
    ------
    ValueError
        If there is no point, or one lies outside the frame.
    """
    counts = np.zeros((size[1], size[0]), np.uint8)
    places, numbers = _counted(points, size)
    counts.ravel()[places] = numbers.clip(max=255)
    return counts


def _counted(points: Points, size: Size) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the pixels with a point, as indices in reading order, and the number of points in each."""
    pixels = np.floor(_checked(points) + 0.5).astype(np.int64)
    if (pixels < 0).any() or (pixels >= size).any():
        raise ValueError(f"a point lies outside the frame of {size[0]}x{size[1]}")
    return np.unique(pixels[:, 1] * size[0] + pixels[:, 0], return_counts=True)


def by_frame(table: pd.DataFrame) -> dict[int, Points]:
    """Return frame -> K x 2 points, for all frames that have any."""
    return _group(table["frame"].to_numpy(), table[["x", "y"]].to_numpy(np.float64))


def write_gaze(path: Path, gaze: Gaze, size: Size, px_per_deg: float, video: str) -> None:
    """Write the fixations in pixels of ``size`` as parquet, with what was dropped and why in its metadata.

    Equal content gives equal bytes.

    Raises
    ------
    DataError
        If there is no fixation to write, or no space left.
    """
    table = to_working(require_fixations(gaze, video).table, gaze.source_size, size)
    facts = {
        "dropped": gaze.dropped,
        "n_frames": gaze.n_frames,
        "source_size": list(gaze.source_size),
        "size": list(size),
        "px_per_deg": px_per_deg,
        "video": video,
    }
    schema = pa.schema(
        [("frame", pa.int32()), ("subject", pa.string()), ("x", pa.float64()), ("y", pa.float64())],
        metadata={_KEY: json.dumps(facts, sort_keys=True).encode()},
    )
    # Series by Series: as Python objects, the viewers of a few million points take hundreds of megabytes.
    columns = [pa.array(table[name], kind) for name, kind in zip(schema.names, schema.types, strict=True)]
    with atomic(Path(path)) as part:
        pq.write_table(pa.Table.from_arrays(columns, schema=schema), part, compression="zstd")


def read_gaze(path: Path) -> GazeFile:
    """Read what `write_gaze` wrote.

    Raises
    ------
    DataError
        If the file is missing, damaged, or not written by `write_gaze`.
    """
    try:
        stored = pq.read_table(path)
        facts = json.loads((stored.schema.metadata or {})[_KEY])
        columns = {name: stored[name].to_numpy() for name in COLUMNS}
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise DataError(
            path, f"is no gaze file ({error})", "Delete it and run the same command again"
        ) from error
    return GazeFile(
        table=sort_table(*columns.values()),
        dropped=facts["dropped"],
        n_frames=facts["n_frames"],
        source_size=tuple(facts["source_size"]),
        size=tuple(facts["size"]),
        px_per_deg=facts["px_per_deg"],
        video=facts["video"],
    )


def _checked(points: Points) -> Points:
    points = np.asarray(points, np.float64)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"points must be K x 2, not {points.shape}")
    if not len(points):
        raise ValueError("there is no point: a frame without fixations has no density")
    if not np.isfinite(points).all():
        raise ValueError("a point is not finite")
    return points


def _group(frames: NDArray[Any], values: NDArray[Any]) -> dict[int, NDArray[Any]]:
    order = np.argsort(frames, kind="stable")
    keys, starts = np.unique(frames[order], return_index=True)
    parts = np.split(values[order], starts[1:]) if len(keys) else []
    return dict(zip(keys.tolist(), parts, strict=True))
