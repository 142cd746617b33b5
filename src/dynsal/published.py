"""The protocol behind the published baseline figures on DIEM, as far as public code tells it.

The four baselines, two measures and twenty test videos of the paper's Table 2 are those of the Matlab release of Rudoy
et al. (yonidishon/milestones@26ec737:video_attention/release/run_jumpTest.m), so its rules are the best available
definition: a working copy of a fifth of the native size, gaze scaled about the middle of the screen, a Gaussian of 10
pixels at that scale, frames 30 to N - 30, the last experiment alone, Borji's AUC with the same video's other frames as
negatives. That the paper used them is inferred. See docs/metrics.md; the exact protocol is in `dynsal.references`.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dynsal import layout
from dynsal.evaluation import Map
from dynsal.gaze import Points, Size, density
from dynsal.legacy_metrics import borji_auc_shuffled
from dynsal.published_numbers import CENTRE_SD, DRAWS, SCALE, SIGMA

__all__ = ["DRAWS", "SCALE", "SIGMA", "auc", "centre_map", "to_working_copy", "working_copy"]


def working_copy(video: str, native: Size) -> Size:
    """Return width and height of the working copy.

    For the twenty test videos of DIEM those of the release; for others a fifth, rounded up to multiples of 4.
    """
    listed = layout.published_sizes()
    if video in listed:
        return listed[video]
    width, height = (4 * math.ceil(side / (4 * SCALE)) for side in native)
    return width, height


def to_working_copy(points: Points, native: Size, size: Size) -> Points:
    """Return points in pixels of the working copy, from native pixels (pixel centres at integers).

    The release scales recorded positions about the middle, (g - middle) / 5 + size / 2, and reads the result as
    1-based pixels; so its grid lies half a pixel off ours, and here so do the points.
    """
    recorded = points + 0.5
    one_based = (recorded - np.array(native) / 2) / SCALE + np.array(size) / 2
    return np.asarray(np.clip(one_based - 1, -0.5, np.array(size) - 1.0))


def last_experiment(subjects: pd.Series) -> NDArray[np.bool_]:
    """Return which rows are of the last experiment in which a video was shown, as the release keeps them alone.

    DIEM's viewers are called "experiment-subject" (`dynsal.datasets.diem`); other data sets' are not, and all stay.
    """
    numbers = subjects.str.extract(r"^(\d+)-", expand=False)
    if len(subjects) == 0 or numbers.isna().any():
        return np.ones(len(subjects), dtype=bool)
    experiments = numbers.astype(int)
    return np.asarray(experiments == experiments.max())


def centre_map(size: Size) -> Map:
    """Return the release's centre model at width and height ``size``."""
    width, height = size
    middle = np.array([[(width - 1) / 2, (height - 1) / 2]])
    return density(middle, size, (width * CENTRE_SD, width * CENTRE_SD))


def auc(saliency: Map, fixations: Points, negatives: Points, seed: tuple[int, int]) -> float:
    """Return Borji's shuffled AUC of one frame: fixated pixels once each, `DRAWS` draws, thresholds every .01.

    Parameters
    ----------
    saliency
        H x W.
    fixations, negatives
        K x 2: of this frame, and of all other frames of the same video.
    seed
        Of the draws, such as (seed, frame).
    """
    rng = np.random.default_rng(seed)
    return borji_auc_shuffled(saliency, fixations, negatives, n_splits=DRAWS, step=0.01, rng=rng)
