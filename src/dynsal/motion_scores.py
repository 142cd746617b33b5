"""How well motion is predicted, against what was measured; and the guesses that a predictor has to beat."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dynsal.clips import Clip
from dynsal.config import TableConfig
from dynsal.statistics import by_video, paired_differences, summarise, video_means

Field = NDArray[np.floating]

MEASURES = {"epe": False, "angular_error": False, "magnitude_cc": True}
"""Measure -> whether higher is better."""
THUMBNAIL = (16, 12)
"""Width and height at which images are compared for the nearest neighbour."""


def epe(predicted: Field, measured: Field) -> float:
    """Return the mean end-point error in the fields' own unit; both H x W x 2."""
    return float(_magnitude(np.asarray(predicted, np.float64) - measured).mean())


def angular_error(predicted: Field, measured: Field) -> float:
    """Return the mean angle in degrees between (u, v, 1) and (u', v', 1) (Barron, Fleet, Beauchemin 1994)."""
    p, q = np.asarray(predicted, np.float64), np.asarray(measured, np.float64)
    dot = 1 + (p * q).sum(-1)
    # From the sine and the cosine, since the arc cosine alone has no digits near 0.
    cross = np.sqrt(((p - q) ** 2).sum(-1) + (p[..., 0] * q[..., 1] - p[..., 1] * q[..., 0]) ** 2)
    return float(np.degrees(np.arctan2(cross, dot)).mean())


def magnitude_cc(predicted: Field, measured: Field) -> float:
    """Return Pearson's correlation of the two magnitudes over the pixels; NaN if either is constant."""
    p, q = (_magnitude(np.asarray(field, np.float64)).ravel() for field in (predicted, measured))
    p, q = p - p.mean(), q - q.mean()
    norm = np.sqrt((p @ p) * (q @ q))
    return float(p @ q / norm) if norm > 1e-12 else float("nan")


def _magnitude(field: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.hypot(field[..., 0], field[..., 1]))


class Nearest:
    """The measured motion of the training image that looks most like a given one (of small copies, squared distance).

    Parameters
    ----------
    files
        Motion clips of the training videos.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self._places: list[tuple[Path, int]] = []
        small = []
        for path in files:
            with Clip(path) as clip:
                small += [thumbnail(clip.bgr(position)) for position in range(len(clip))]
                self._places += [(path, position) for position in range(len(clip))]
        self._small = np.stack(small)

    def __call__(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the motion, H x W x 2."""
        distances = ((self._small - thumbnail(image)) ** 2).sum(1)
        path, position = self._places[int(distances.argmin())]
        with Clip(path) as clip:
            return clip.flow(position).astype(np.float32)


def thumbnail(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the pixels of a small copy, flat."""
    return np.asarray(cv2.resize(image, THUMBNAIL, interpolation=cv2.INTER_AREA), np.float32).ravel()


def mean_motion(files: Sequence[Path]) -> NDArray[np.float32]:
    """Return the mean field of motion clips, each video weighing alike."""
    means = []
    for path in files:
        with Clip(path) as clip:
            means.append(np.mean([clip.flow(k).astype(np.float64) for k in range(len(clip))], axis=0))
    return np.asarray(np.mean(means, axis=0), np.float32)


def score(predicted: Field, measured: Field) -> dict[str, float]:
    """Return every measure of one frame."""
    return {
        "epe": epe(predicted, measured),
        "angular_error": angular_error(predicted, measured),
        "magnitude_cc": magnitude_cc(predicted, measured),
    }


def table(scores: pd.DataFrame, config: TableConfig) -> pd.DataFrame:
    """Return one row per predictor: means over videos of their means over frames, with 95 % bootstrap intervals.

    ``scores`` has one row per model, seed, video and frame, with the measures.
    """
    order = list(dict.fromkeys(scores["model"]))
    return summarise(scores, list(MEASURES), config.resamples, config.seed).loc[order].reset_index()


def differences(scores: pd.DataFrame, config: TableConfig) -> pd.DataFrame:
    """Return the paired difference of the first predictor to every other one, over the videos that both have."""
    order = list(dict.fromkeys(scores["model"]))
    means = video_means(scores, list(MEASURES))
    rows = []
    for measure in MEASURES:
        values = by_video(means, measure)[order].to_numpy()
        for column, reference in enumerate(order[1:], 1):
            found = paired_differences(values, column, config.resamples, config.seed)
            rows.append(
                {
                    "measure": measure,
                    "model": order[0],
                    "reference": reference,
                    "difference": found.mean[0],
                    "lo": found.low[0],
                    "hi": found.high[0],
                    "n_videos": found.n_videos[0],
                }
            )
    return pd.DataFrame(rows)
