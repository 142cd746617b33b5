"""From gaze and clip files to what the maps of every test video are scored against."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dynsal.clips import Clip
from dynsal.config import EvaluateConfig, GazeConfig
from dynsal.errors import DataError
from dynsal.evaluation import Reference, select_frames
from dynsal.gaze import GazeFile, Points, by_frame, read_gaze
from dynsal.pools import other_videos_pool, same_video_pool, split_halves


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
    references = {}
    for video, file in files.items():
        with Clip(results / "frames" / f"{video}.h5") as clip:
            frames = select_frames(clip.frames, int(clip.attrs["source_frames"]), evaluate.frames)
        if not len(frames):
            raise DataError(
                video, f"no frame is left by evaluate.frames: {evaluate.frames}", "Use frames: all"
            )
        references[video] = Reference(
            video=video,
            frames=frames,
            points=file.points,
            size=file.size,
            sigma=file.sigma(gaze.sigma_deg, gaze.px_per_deg),
            other_videos=other_videos_pool(tables, video, evaluate.pool_frames, evaluate.pool_seed),
            same_video=same_video_pool(file.table, evaluate.pool_frames, evaluate.pool_seed),
        )
    return references


def viewer_halves(file: GazeFile, draws: int, seed: int) -> list[tuple[dict[int, Points], dict[int, Points]]]:
    """Return random splits of a video's viewers into two halves, as points by frame."""
    splits = (split_halves(file.table, seed + draw) for draw in range(draws))
    return [(by_frame(first), by_frame(second)) for first, second in splits]


def score_path(results: Path, model: str, seed: int, video: str) -> Path:
    """Return the path of a score file."""
    return results / "scores" / model / f"seed{seed}" / f"{video}.parquet"
