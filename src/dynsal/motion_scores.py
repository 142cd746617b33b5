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

MEASURES = {"epe": False, "angular_error": False, "magnitude_cc": True, "epe_moving": False}
"""Measure -> whether higher is better."""
MOVING = 1.0
"""Pixels over five frames at 320x240 from which a pixel counts as moving in ``epe_moving``."""
THUMBNAIL = (16, 12)
"""Width and height at which images are compared for the nearest neighbour."""


def epe(predicted: Field, measured: Field) -> float:
    """Return the mean end-point error in the fields' own unit; both H x W x 2."""
    return float(_magnitude(np.asarray(predicted, np.float64) - measured).mean())


def epe_moving(predicted: Field, measured: Field) -> float:
    """Return the mean end-point error over the pixels that move by :data:`MOVING` or more; NaN if none does."""
    moving = _magnitude(np.asarray(measured, np.float64)) >= MOVING
    return epe(predicted[moving], measured[moving]) if moving.any() else float("nan")


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
        "epe_moving": epe_moving(predicted, measured),
    }


def table(scores: pd.DataFrame, config: TableConfig) -> pd.DataFrame:
    """Return one row per predictor: means over videos of their means over frames, with 95 % bootstrap intervals.

    ``scores`` has one row per model, seed, video and frame, with the measures.
    """
    order = list(dict.fromkeys(scores["model"]))
    return summarise(scores, list(MEASURES), config.resamples, config.seed).loc[order].reset_index()


def differences(scores: pd.DataFrame, config: TableConfig) -> pd.DataFrame:
    """Return the paired difference of every decoding of the net to every guess, over the videos that both have."""
    order = list(dict.fromkeys(scores["model"]))
    nets = [column for column, name in enumerate(order) if name.startswith("static_flow")]
    means = video_means(scores, list(MEASURES))
    rows = []
    for measure in MEASURES:
        values = by_video(means, measure)[order].to_numpy()
        for column in range(len(nets), len(order)):
            found = paired_differences(values, column, config.resamples, config.seed)
            rows += [
                {
                    "measure": measure,
                    "model": order[net],
                    "reference": order[column],
                    "difference": found.mean[net],
                    "lo": found.low[net],
                    "hi": found.high[net],
                    "n_videos": found.n_videos[net],
                }
                for net in nets
            ]
    return pd.DataFrame(rows)
