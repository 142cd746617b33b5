"""One trained net's scores on every frame of the test videos, by one process or several that share the videos."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from dynsal.clips import Clip
from dynsal.config import EvaluateConfig, GazeConfig
from dynsal.device import limit_threads, pick_device
from dynsal.evaluation import Reference, fitted, score_video
from dynsal.fileio import atomic
from dynsal.inference import Predictor
from dynsal.references import load_references, score_path
from dynsal.training import load_model
from dynsal.workers import workers

Input = tuple[int, NDArray[np.uint8] | None, NDArray[np.float32] | None]


@dataclass(frozen=True)
class Job:
    """What to score, and with how many threads in each process."""

    name: str
    seed: int
    model: Path
    results: Path
    videos: Sequence[str]
    gaze: GazeConfig
    evaluate: EvaluateConfig
    threads: int


@dataclass(frozen=True)
class Scored:
    """What became of a video."""

    video: str
    frames: int
    skipped: int
    clipped: float
    """Share of the flow's pixels beyond the bound."""
    blank_maps: int


class Evaluator:
    """A net with what its maps are scored against; writes one parquet file per video.

    Raises
    ------
    DataError
        If the model or a file is missing or damaged.
    """

    def __init__(self, job: Job) -> None:
        limit_threads(job.threads)
        self._job = job
        net, meta = load_model(job.model)
        self._predictor = Predictor(net, meta, pick_device())
        self._references = load_references(job.results, job.videos, job.gaze, job.evaluate)

    def score(self, video: str) -> Scored:
        """Score a video."""
        job, predictor, reference = self._job, self._predictor, self._references[video]
        predictor.clipped_pixels = predictor.flow_pixels = predictor.blank_maps = 0
        items = read_inputs(job.results, reference, predictor.inputs)
        with Clip(job.results / "frames" / f"{video}.h5") as clip:
            fps = float(clip.attrs["source_fps"])
        maps = predictor.predict_stream(items, job.evaluate.batch_size, fps)
        shown = tqdm(
            fitted(maps, reference.size), total=len(reference.frames), desc=video, disable=None, leave=False
        )
        table = score_video(reference, shown)
        with atomic(score_path(job.results, job.name, job.seed, video)) as part:
            table.to_parquet(part, index=False)
        clipped = predictor.clipped_pixels / max(1, predictor.flow_pixels)
        return Scored(video, len(table), int((table["skipped"] != "").sum()), clipped, predictor.blank_maps)


def score_videos(job: Job, processes: int) -> Generator[Scored, None, None]:
    """Score the job's videos and yield them in their order; more than one process share them, each with a net of its own."""
    if processes <= 1:
        evaluator = Evaluator(job)
        yield from map(evaluator.score, job.videos)
        return
    with workers(processes, f"{job.name}, seed {job.seed}", _begin, job) as hand_out:
        for future in [hand_out(_score, video) for video in job.videos]:
            yield future.result()


def read_inputs(results: Path, reference: Reference, inputs: tuple[str, ...]) -> Iterator[Input]:
    """Yield (frame, image or None, flow or None) of the frames to score."""
    with (
        Clip(results / "frames" / f"{reference.video}.h5") as frames,
        Clip(results / "flow" / f"{reference.video}.h5") as flow,
    ):
        wanted = set(reference.frames.tolist())
        for position, index in enumerate(frames.frames.tolist()):
            if index in wanted:
                yield (
                    index,
                    frames.bgr(position) if "frame" in inputs else None,
                    flow.flow(position).astype(np.float32) if "flow" in inputs else None,
                )


_job: Job | None = None
_evaluator: Evaluator | None = None
"""A worker's own, made when its first video comes, so that an error of it is raised where the video was asked for."""


def _begin(job: Job) -> None:
    global _job
    _job = job


def _score(video: str) -> Scored:
    global _evaluator
    if _job is None:
        raise RuntimeError("this worker was not set up")
    if _evaluator is None:
        _evaluator = Evaluator(_job)
    return _evaluator.score(video)
