"""The 22 features of Rudoy et al., of a jump from a source to a destination.

All but the last two belong to the destination alone; the source enters only by where it lies.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from dynsal.baselines.rudoy.candidates import Candidates, frame_centre
from dynsal.baselines.rudoy.detectors import Detections
from dynsal.baselines.rudoy.evidence import Evidence

Floats = NDArray[np.float64]

NAMES = (
    "centre_distance",
    *(f"{name}_contrast_{half}" for name in ("speed", "u", "v") for half in (0, 2, 4)),
    *(f"static_{half}" for half in (0, 2, 4)),
    "face", "person", "kind",
    *(f"grey_contrast_{half}" for half in (2, 4, 8)),
    "spread", "jump_length", "jump_angle",
)  # fmt: skip
"""Features in their order; a number is half the side of a window."""
MEAN_HALVES = (0, 2, 4)
CONTRAST_HALVES = (2, 4, 8)
_TAPS = 51


def destination_features(evidence: Evidence, found: Candidates) -> Floats:
    """Return K x 20: what the candidates of a frame are like, at their rounded points."""
    points = rounded(found.points)
    flow = evidence.flow.astype(np.float64)
    moving = [
        blur_contrast(part) for part in (np.hypot(*np.moveaxis(flow, 2, 0)), flow[..., 0], flow[..., 1])
    ]
    columns = [
        np.hypot(*(points - frame_centre(evidence.size)).T)[:, None],
        *(window_means(part, points) for part in (*moving, evidence.static)),
        box_scores(evidence.faces, points)[:, None],
        box_scores(evidence.people, points)[:, None],
        found.kinds[:, None],
        window_contrasts(evidence.grey, points),
        np.sqrt(found.variances.mean(axis=1))[:, None],
    ]
    return np.hstack(columns)


def pair_features(destination: Floats, sources: Floats, points: Floats) -> Floats:
    """Return S x K x 22: the destinations' features, the length of every jump, and its angle.

    Parameters
    ----------
    destination
        K x 20, from `destination_features`.
    sources
        S x 2 points where jumps start.
    points
        K x 2 points of the destinations.
    """
    dx, dy = np.moveaxis(sources[:, None] - rounded(points), 2, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        angle = np.nan_to_num(np.arctan(dy / dx))  # no jump, no angle: 0
    own = np.broadcast_to(destination, (len(sources), *destination.shape))
    return np.concatenate([own, np.hypot(dx, dy)[..., None], angle[..., None]], axis=2)


def rounded(points: Floats) -> Floats:
    """Return points at the nearest pixel, halves up."""
    return np.floor(points + 0.5)


def blur_contrast(values: Floats) -> Floats:
    """Return the absolute difference of two blurs (sigma 20 and 10, 51 taps, mirrored borders)."""
    wide, narrow = (cv2.getGaussianKernel(_TAPS, sigma) for sigma in (20, 10))
    # Blurs are linear, but their kernels' difference is not separable: two passes each.
    difference: Floats = np.abs(
        cv2.sepFilter2D(values, cv2.CV_64F, wide, wide, borderType=cv2.BORDER_REFLECT)
        - cv2.sepFilter2D(values, cv2.CV_64F, narrow, narrow, borderType=cv2.BORDER_REFLECT)
    )
    return difference


def window_means(values: Floats, points: Floats) -> Floats:
    """Return K x 3 means over squares of half side 0, 2 and 4 around pixels, clipped to the frame."""
    return np.array([[_window(values, x, y, half).mean() for half in MEAN_HALVES] for x, y in points])


def window_contrasts(grey: NDArray[np.uint8], points: Floats) -> Floats:
    """Return K x 3 contrasts in squares of half side 2, 4 and 8, relative to the frame's; 0 for a constant frame."""
    whole = _contrast(grey)
    if not whole:
        return np.zeros((len(points), len(CONTRAST_HALVES)))
    return (
        np.array([[_contrast(_window(grey, x, y, half)) for half in CONTRAST_HALVES] for x, y in points])
        / whole
    )


def box_scores(found: Detections, points: Floats) -> Floats:
    """Return K scores: the largest, over all boxes, of score / max score x a Gaussian; 0 without boxes.

    The Gaussian lies at the box's centre, its standard deviations are half the box's sides.
    """
    if not len(found.boxes):
        return np.zeros(len(points))
    middle = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
    half = (found.boxes[:, 2:] - found.boxes[:, :2]) / 2
    exponent = (((points[:, None] - middle) / half) ** 2).sum(axis=2) / 2
    scores: Floats = (found.scores / found.scores.max() * np.exp(-exponent)).max(axis=1)
    return scores


def _window(values: NDArray[np.generic], x: float, y: float, half: int) -> NDArray[np.generic]:
    """Return the clipped square around a pixel of the frame."""
    left, top = int(x), int(y)
    return values[max(0, top - half) : top + half + 1, max(0, left - half) : left + half + 1]


def _contrast(window: NDArray[np.generic]) -> float:
    low, high = float(window.min()), float(window.max())
    return (high - low) / (high + low) if high > low else 0.0
