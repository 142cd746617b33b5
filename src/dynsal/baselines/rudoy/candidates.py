"""Candidates of Rudoy et al.: the few places of a frame where a gaze may go."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dynsal.baselines.rudoy.blobs import blobs
from dynsal.baselines.rudoy.detectors import Detections, suppress
from dynsal.baselines.rudoy.evidence import Evidence
from dynsal.config_baselines import RudoyOptions

Floats = NDArray[np.float64]

CENTRE, FACE, PERSON, MOTION, STATIC = 1, 2, 3, 4, 5
"""Types, numbered as in the release: the number itself is a feature."""
LEAST_SIDE = 20.0
"""Smallest side of a candidate's box, pixels."""
LEAST_MOTION = 2.0
"""Squared flow magnitude below which motion counts as none."""


@dataclass(frozen=True)
class Candidates:
    """K candidates of one frame, one row each."""

    points: Floats
    """K x 2: x, y."""
    kinds: NDArray[np.int64]
    """Type, 1 to 5."""
    scores: Floats
    variances: Floats
    """K x 2: along x and y, the diagonal of the covariance."""
    boxes: Floats
    """K x 4: left, top, right, bottom."""

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, chosen: NDArray[np.bool_]) -> Candidates:
        return Candidates(
            self.points[chosen],
            self.kinds[chosen],
            self.scores[chosen],
            self.variances[chosen],
            self.boxes[chosen],
        )


def frame_centre(size: tuple[int, int]) -> Floats:
    """Return the release's centre of a frame: pixel (width / 2, height / 2) counted from 1."""
    return np.array(size) / 2.0 - 1.0


def candidates(evidence: Evidence, options: RudoyOptions, index: int) -> Candidates:
    """Return the candidates of a frame, never none.

    Parameters
    ----------
    evidence
        What was measured in it.
    options
        Of them, the smallest score of a person, the number of samples and the seed are used.
    index
        The frame's number, which with the seed determines the samples.
    """
    height = evidence.size[1]
    squared = (evidence.flow.astype(np.float64) ** 2).sum(axis=2)
    motion = np.where(squared < LEAST_MOTION, 0.0, squared)
    parts = [
        _faces(evidence.faces),
        _people(evidence.people, options.person_score, evidence.size),
        _from_map(motion, MOTION, options, index),
        _from_map(evidence.static, STATIC, options, index),
    ]
    found = _join(parts)
    centre, reach = frame_centre(evidence.size), height / 8
    if not (np.hypot(*(found.points - centre).T) <= reach).any():
        found = _join(
            [found, _make(centre[None], CENTRE, np.ones(1), np.full((1, 2), reach), np.array([reach]))]
        )
    return found


def _from_map(values: Floats, kind: int, options: RudoyOptions, index: int) -> Candidates:
    rng = np.random.default_rng((options.seed, index, kind))
    points, sigmas, scores = blobs(values, options.samples, rng)
    return _make(points, kind, scores, sigmas, np.maximum(sigmas.max(axis=1, initial=0.0), LEAST_SIDE / 2))


def _faces(found: Detections) -> Candidates:
    boxes = suppress(found, 0.0).boxes
    middle, sides = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    sigmas = np.repeat(sides.min(axis=1, initial=np.inf, keepdims=True) / 8, 2, axis=1)
    return _make(middle, FACE, np.ones(len(boxes)), sigmas, np.maximum(sides, LEAST_SIDE) / 2)


def _people(found: Detections, least: float, size: tuple[int, int]) -> Candidates:
    """Return four candidates for every large person, one for a smaller one, none for tiny ones."""
    boxes, scores = suppress(found, least)
    height = size[1]
    sides = boxes[:, 2:] - boxes[:, :2]
    diagonals = np.hypot(*sides.T)
    rows: list[tuple[float, float, float, float]] = []
    for (left, top, _, _), (wide, high), d, score in zip(boxes, sides, diagonals, scores, strict=True):
        if d < 0.3 * diagonals.max() or d < 0.15 * height:
            continue
        middle = left + wide / 2
        if d >= 0.4 * height:
            rows += [
                (middle, top + high / 2, d / 12, score),
                (left + wide / 4, top + high / 4, d / 12, score / 2),
                (left + 3 * wide / 4, top + high / 4, d / 12, score / 2),
                (middle, top + wide / 4, d / 6, score),  # the head: as far down as a quarter of the width
            ]
        else:
            rows.append((middle, top + high / 2, d / 3, score))
    table = np.array(rows, np.float64).reshape(-1, 4)
    table = table[((table[:, :2] >= -0.5) & (table[:, :2] < np.array(size) - 0.5)).all(axis=1)]
    return _make(table[:, :2], PERSON, table[:, 3], table[:, [2, 2]], table[:, 2])


def _make(points: Floats, kind: int, scores: Floats, sigmas: Floats, reach: Floats) -> Candidates:
    """Return candidates of one type; ``reach`` is half the box's sides, K or K x 2."""
    reach = np.broadcast_to(reach if reach.ndim == 2 else reach[:, None], points.shape)
    boxes = np.hstack([points - reach, points + reach])
    return Candidates(points, np.full(len(points), kind, np.int64), scores, sigmas**2, boxes)


def _join(parts: list[Candidates]) -> Candidates:
    return Candidates(
        np.concatenate([part.points for part in parts]),
        np.concatenate([part.kinds for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.variances for part in parts]),
        np.concatenate([part.boxes for part in parts]),
    )
