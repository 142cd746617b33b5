"""Several videos in one job: what the jobs of ``prepare.batch`` videos read, write and are told.

A job costs seconds to start, more than a short video takes. The files are those of one job per video, byte for byte.
Nothing heavy is imported: the Snakefile calls it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from dynsal.workflow import Plan

FIELDS: dict[str, dict[str, list[str]]] = {
    "rescale": {
        "dataset": ["name", "source"],
        "prepare": ["size", "fps_target", "frame_step", "jpeg_quality"],
    },
    "gaze": {
        "dataset": ["name", "source", "release", "experiments", "eyes"],
        "gaze": ["px_per_deg"],
        "prepare": ["size"],
    },
    # Neither the bound (the loader's) nor the split, so that changing these recomputes nothing.
    "flow": {"dataset": ["name", "source"], "prepare": ["size"]},
}
"""Step -> the keys of the configuration that it depends on."""


class Batch(NamedTuple):
    """One job for several videos."""

    step: str
    """``rescale``, ``gaze``, ``flow`` or ``augment``."""
    number: int
    """From 1, in the order of the split list; the same for all steps of these videos."""
    inputs: list[str]
    outputs: list[str]
    words: list[str]
    """The script's options, but for ``--log``."""

    @property
    def name(self) -> str:
        """What its log and its benchmark file are called."""
        return f"batch{self.number:04d}"


def batches(plan: Plan) -> Iterator[Batch]:
    """Yield the jobs of all steps that several videos share; none where every video has its own.

    The whole split list is divided, before ``dataset.only`` and roles are looked at, so that neither moves a video to
    another job, whose files Snakemake would make again. Low-resolution copies are of training videos alone.
    """
    if plan.batch == 1:
        return
    chosen, training = set(plan.videos), set(plan.train)
    for number, start in enumerate(range(0, len(plan.listed), plan.batch), 1):
        videos = [video for video in plan.listed[start : start + plan.batch] if video in chosen]
        if not videos:
            continue
        yield _prepared(plan, "rescale", number, videos)
        yield _prepared(plan, "gaze", number, videos)
        yield _prepared(plan, "flow", number, videos)
        trained = [video for video in videos if video in training]
        if trained and plan.all_factors():
            yield _augmented(plan, number, trained)


def _prepared(plan: Plan, step: str, number: int, videos: list[str]) -> Batch:
    """Return a job that reads original files, and the rescaled frames unless it makes them."""
    originals = plan.raw_gaze if step == "gaze" else plan.raw_video
    frames = [] if step == "rescale" else plan.paths("frames", videos)
    outputs = plan.paths("frames" if step == "rescale" else step, videos)
    flow = plan.config.flow
    words = [
        *("--video", *videos, "--raw", plan.raw, "--params", plan.fields(**FIELDS[step]), "--out", *outputs),
        *(("--frames", *frames) if frames else ()),
        *(("--estimator", flow.estimator, "--direction", flow.direction) if step == "flow" else ()),
    ]
    raw = dict.fromkeys(path for video in videos for path in originals(video))
    return Batch(step, number, [*raw, *frames], outputs, words)


def _augmented(plan: Plan, number: int, videos: list[str]) -> Batch:
    """Return a job that makes the low-resolution copies."""
    frames, flow, factors = plan.paths("frames", videos), plan.paths("flow", videos), plan.all_factors()
    copies = [[plan.path(f"augmented/x{factor}", video) for factor in factors] for video in videos]
    words = [
        *("--frames", *frames, "--flow", *flow, "--factors", *map(str, factors)),
        *("--jpeg-quality", str(plan.config.prepare.jpeg_quality)),
        *(word for paths in copies for word in ("--out", *paths)),
    ]
    return Batch("augment", number, [*frames, *flow], [path for paths in copies for path in paths], words)
