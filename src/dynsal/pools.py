"""Which fixations serve as negatives of the shuffled AUC, and which viewers as models of the others.

A gaze table has the columns ``frame`` (integer), ``subject``, ``x`` and ``y`` (pixels of the working size),
one row per viewer and frame with a valid fixation. Everything here is drawn by a seed, and nothing depends on
the order of rows, tables or videos. Repeated points stay repeated.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def other_videos_pool(
    tables: Mapping[str, pd.DataFrame], video: str, frames_per_video: int, seed: int
) -> NDArray[np.float64]:
    """Fixations of all other videos: the negatives of the headline shuffled AUC.

    Which frames a video contributes depends on its name, its frames and the seed, not on the other videos.

    Parameters
    ----------
    tables
        Gaze table of every test video, ``video`` included.
    video
        The video that is to be scored; its own fixations never enter.
    frames_per_video
        How many frames of each other video to draw; all, if it has fewer.
    seed
        Seed of the draw.

    Returns
    -------
    ndarray
        K x 2, columns x, y, by video name and frame; empty if there is no other video.

    Raises
    ------
    ValueError
        If ``video`` is not among the tables: under another spelling its own fixations would enter unnoticed.
    """
    if video not in tables:
        raise ValueError(f"no gaze table for the video {video!r}; there are: {', '.join(sorted(tables))}")
    chosen = [
        _chosen_frames(tables[name], frames_per_video, f"{seed}/{name}")[1]
        for name in sorted(tables)
        if name != video
    ]
    return np.concatenate([np.empty((0, 2)), *chosen])


@dataclass(frozen=True)
class SameVideoPool:
    """Fixations of a video, from which each frame takes those of all other frames as its negatives.

    Points are sorted by frame, so that a frame's own are one slice: read the map at ``points`` once per frame
    (:func:`dynsal.metrics.pixel_index` once per video) and drop the slice with :meth:`without_own`.

    Parameters
    ----------
    frames
        Frame of each point, ascending.
    points
        K x 2, columns x, y.
    """

    frames: NDArray[np.int64]
    points: NDArray[np.float64]

    def without_own(self, frame: int, values: NDArray[Any]) -> NDArray[Any]:
        """Drop what belongs to a frame from an array with one row per point.

        A frame that contributes nothing to the pool keeps it all.
        """
        if len(values) != len(self.points):
            raise ValueError(f"expected one value for each of {len(self.points)} points, found {len(values)}")
        first, last = self.frames.searchsorted(frame, "left"), self.frames.searchsorted(frame, "right")
        return np.concatenate((values[:first], values[last:]))

    def negatives(self, frame: int) -> NDArray[np.float64]:
        """Return the fixations of all other frames, K x 2, columns x, y."""
        return self.without_own(frame, self.points)


def same_video_pool(table: pd.DataFrame, frames: int, seed: int) -> SameVideoPool:
    """Build a video's own pool from a seeded subset of its frames.

    Parameters
    ----------
    table
        The video's gaze table.
    frames
        How many frames to draw; all, if it has fewer.
    seed
        Seed of the draw.
    """
    return SameVideoPool(*_chosen_frames(table, frames, f"{seed}"))


def other_images_pool(
    tables: Mapping[str, pd.DataFrame], images_per_shard: int, seed: int
) -> tuple[SameVideoPool, dict[str, int]]:
    """Build the pool from which each still image takes the fixations of all other images of all shards.

    The images are numbered through: image i of a shard is "frame" first + i of the pool, so that
    ``pool.without_own(first + i, values)`` drops the image's own.

    Parameters
    ----------
    tables
        Gaze table of every test shard; ``frame`` is the number of the image within its shard.
    images_per_shard
        How many images of each shard to draw; all, if it has fewer with a fixation.
    seed
        Seed of the draw; which images a shard contributes does not depend on the other shards.

    Returns
    -------
    SameVideoPool
        The fixations, by shard name and image.
    dict
        Shard -> number of its first image.
    """
    first, start, chosen = {}, 0, []
    for name in sorted(tables):
        first[name] = start
        frames, points = _chosen_frames(tables[name], images_per_shard, f"{seed}/{name}")
        chosen.append((frames + start, points))
        start += int(tables[name]["frame"].max()) + 1 if len(tables[name]) else 0
    frames = np.concatenate([np.empty(0, np.int64), *(frames for frames, _ in chosen)])
    return SameVideoPool(frames, np.concatenate([np.empty((0, 2)), *(points for _, points in chosen)])), first


def split_halves(table: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split the viewers at random into two halves, one to predict the other: the human ceiling.

    Parameters
    ----------
    table
        Gaze table of a video or a frame.
    seed
        Seed of the split.

    Returns
    -------
    tuple of DataFrame
        The rows of each half, in their order; with an odd number of viewers the second half has one more.

    Raises
    ------
    ValueError
        If there are fewer than 2 viewers.
    """
    _require_columns(table, "subject")
    viewers = sorted(table["subject"].unique(), key=str)
    if len(viewers) < 2:
        raise ValueError(f"cannot split {len(viewers)} viewer(s) into halves; at least 2 are needed")
    order = _generator(f"{seed}/halves").permutation(len(viewers))
    first = table["subject"].isin([viewers[i] for i in order[: len(viewers) // 2]])
    return table[first], table[~first]


def _chosen_frames(
    table: pd.DataFrame, count: int, label: str
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Frame and point of every fixation on ``count`` randomly chosen frames, sorted by frame, then point."""
    _require_columns(table, "frame", "x", "y")
    if count < 1:
        raise ValueError(f"expected at least 1 frame per video, found {count}")
    frame = table["frame"].to_numpy(dtype=np.int64)
    points = table[["x", "y"]].to_numpy(dtype=np.float64)
    broken = ~np.isfinite(points).all(axis=1)
    if broken.any():
        raise ValueError(f"{np.count_nonzero(broken)} of {len(points)} fixations have no finite x and y")
    available = np.unique(frame)
    if len(available) > count:
        available = _generator(label).choice(available, count, replace=False)
    taken = np.isin(frame, available)
    frame, points = frame[taken], points[taken]
    order = np.lexsort((points[:, 0], points[:, 1], frame))
    return frame[order], points[order]


def _require_columns(table: pd.DataFrame, *names: str) -> None:
    missing = [name for name in names if name not in table.columns]
    if missing:
        raise ValueError(
            f"gaze table lacks {', '.join(missing)}; it has {', '.join(map(str, table.columns))}"
        )


def _generator(label: str) -> np.random.Generator:
    """Random numbers from a text: unlike ``hash``, the same in every process and on every machine."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256(label.encode()).digest()[:16]))
