"""What stands below a table: the definitions behind its figures, from the configuration."""

from __future__ import annotations

import json

import pandas as pd

from dynsal import published_numbers as published
from dynsal import tables
from dynsal.workflow import Plan


def common(plan: Plan, scores: pd.DataFrame, name: str) -> dict[str, str]:
    """Return the notes of any table over videos: metrics, intervals, density, skipped frames, data set."""
    config = plan.config
    by_the_book = config.evaluate.protocol == "published"
    skipped = tables.skipped(scores)
    notes = {
        "sAUC": _published_auc() if by_the_book else _exact_auc(config.evaluate.pool_frames),
        "intervals": f"95 %, {config.table.resamples} bootstrap resamples over videos, the same for all rows; "
        f"differences between rows: {name}_differences.csv",
        "density": _published_density() if by_the_book else _density(plan),
        "skipped frames": json.dumps(skipped) if skipped else "none",
    }
    if config.dataset.source == "stavis":
        notes["no human row"] = (
            "DIEM's fixation maps as preprocessed for STAViS do not say who looked, and count a pixel once however "
            "many looked there"
        )
    if config.dataset.name == "demo":
        notes["demo"] = (
            "synthetic videos and viewers: the numbers show that the pipeline works, nothing about people"
        )
    if by_the_book:
        notes["deviations from the published protocol"] = (
            "it is inferred from public code; a map that is zero everywhere scores as uniform (there the frame is dropped); "
            "the human row has two random halves and the same negatives (there ten, and uniform ones)"
        )
    if config.dataset.name != "diem":
        notes["paper"] = (
            "its figures are for DIEM and are not comparable with this data set; only the order may be"
        )
    elif not by_the_book:
        notes["paper"] = (
            "its definition of sAUC is not stated, and its baselines' figures come from another protocol"
        )
    return notes


def _exact_auc(frames: int) -> str:
    return (
        f"exact rank form; negatives are the fixations of {frames} frames of each other test video, or (same video) "
        "of the video's other frames"
    )


def _published_auc() -> str:
    return (
        f"protocol published: Borji's AUC, {published.DRAWS} draws of negatives from all other frames of the same "
        "video; the column (same video) is the exact rank form over the same pool"
    )


def _published_density() -> str:
    return (
        f"protocol published: maps at 1/{published.SCALE} of the native size, Gaussian, sigma {published.SIGMA[0]:g} "
        "pixels there; frames 30 to N - 30"
    )


def _density(plan: Plan) -> str:
    config = plan.config
    thinned = config.prepare.fps_target
    return (
        f"Gaussian, sigma {config.gaze.sigma_deg:g} degree; maps {config.prepare.size[0]}x{config.prepare.size[1]}; "
        f"frames scored: {config.evaluate.frames}, of every {config.prepare.frame_step}. frame"
        + (f" of the videos thinned to about {thinned:g} per second" if thinned else "")
    )
