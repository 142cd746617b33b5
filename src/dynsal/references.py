"""From gaze and clip files to what the maps of every test video are scored against."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from dynsal import published
from dynsal.clips import Clip
from dynsal.config import EvaluateConfig, GazeConfig
from dynsal.errors import DataError
from dynsal.evaluation import Map, Reference, select_frames
from dynsal.gaze import GazeFile, Points, Size, by_frame, read_gaze, to_working
from dynsal.pools import other_videos_pool, same_video_pool, split_halves

_ALL_FRAMES = 2**31 - 1


def load_references(
    results: Path, videos: Sequence[str], gaze: GazeConfig, evaluate: EvaluateConfig
) -> dict[str, Reference]:
    """Read the gaze of all test videos and draw the negatives of each.

    Parameters
    ----------
    results
        Folder with ``frames/<video>.h5`` and ``gaze/<video>.parquet``.
    videos
        The test videos; the shuffled negatives of each come from the others.
    gaze, evaluate
        Width of the density; frames, size and seed of the pools.

    Raises
    ------
    DataError
        If a file is missing or damaged, or a video has no frame left to score.
    """
    files = {video: read_gaze(results / "gaze" / f"{video}.parquet") for video in videos}
    tables = {video: file.table for video, file in files.items()}
    by_the_book = evaluate.protocol == "published"
    references = {}
    for video, file in files.items():
        with Clip(results / "frames" / f"{video}.h5") as clip:
            which = "trim30" if by_the_book else evaluate.frames
            frames = select_frames(clip.frames, int(clip.attrs["source_frames"]), which)
        if not len(frames):
            raise DataError(video, f"no frame is left of those to score ({which})", "Use frames: all")
        table = scored_gaze(file, evaluate)
        pool = other_videos_pool(tables, video, evaluate.pool_frames, evaluate.pool_seed)
        own_frames = _ALL_FRAMES if by_the_book else evaluate.pool_frames
        references[video] = Reference(
            video=video,
            frames=frames,
            points=by_frame(table),
            size=scored_size(file, evaluate),
            sigma=published.SIGMA if by_the_book else file.sigma(gaze.sigma_deg, gaze.px_per_deg),
            other_videos=_rescaled(pool, file.size, scored_size(file, evaluate)),
            same_video=same_video_pool(table, own_frames, evaluate.pool_seed),
            published_auc=_published_auc(evaluate.pool_seed) if by_the_book else None,
        )
    return references


def scored_size(file: GazeFile, evaluate: EvaluateConfig) -> Size:
    """Return width and height at which a video's maps are scored."""
    if evaluate.protocol == "published":
        return published.working_copy(file.video, file.source_size)
    return file.size


def scored_gaze(file: GazeFile, evaluate: EvaluateConfig) -> pd.DataFrame:
    """Return a gaze table in pixels of the size at which maps are scored."""
    if evaluate.protocol == "exact":
        return file.table
    table = file.table[published.last_experiment(file.table["subject"])].reset_index(drop=True)
    native = to_working(table, file.size, file.source_size)
    points = published.to_working_copy(
        native[["x", "y"]].to_numpy(), file.source_size, scored_size(file, evaluate)
    )
    return native.assign(x=points[:, 0], y=points[:, 1])


def _rescaled(points: Points, size: Size, to: Size) -> Points:
    """Return points of one size at the same relative positions of another."""
    return points if size == to else (points + 0.5) * np.array(to) / np.array(size) - 0.5


def _published_auc(seed: int) -> Callable[[Map, Points, Points, int], float]:
    def auc(saliency: Map, fixations: Points, negatives: Points, frame: int) -> float:
        return published.auc(saliency, fixations, negatives, (seed, frame))

    return auc


def viewer_halves(
    file: GazeFile, evaluate: EvaluateConfig
) -> list[tuple[dict[int, Points], dict[int, Points]]]:
    """Return ``human_draws`` random splits of a video's viewers into two halves, as points by frame."""
    table = scored_gaze(file, evaluate)
    splits = (split_halves(table, evaluate.pool_seed + draw) for draw in range(evaluate.human_draws))
    return [(by_frame(first), by_frame(second)) for first, second in splits]


def shown_frame(reference: Reference) -> int:
    """Return the frame that pictures of all models show: the middle one of those with a fixation."""
    seen = [frame for frame in reference.frames.tolist() if frame in reference.points]
    if not seen:
        raise DataError(
            reference.video, "no frame to score has a fixation", "Leave the video out of the split"
        )
    return int(seen[len(seen) // 2])


def score_path(results: Path, model: str, seed: int, video: str) -> Path:
    """Return the path of a score file."""
    return results / "scores" / model / f"seed{seed}" / f"{video}.parquet"


def map_path(results: Path, model: str, video: str) -> Path:
    """Return the path of the file with a baseline's map of `shown_frame`."""
    return results / "maps" / model / f"{video}.h5"
