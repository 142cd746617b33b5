"""Training of Rudoy et al. on gaze: from frames and points to labelled pairs, and from pairs to a model.

Numbers are those of the release. Nothing here knows data sets: a caller runs `collect_pairs` once per
video (in as many processes as it likes) and `train` once on the results.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import sklearn
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from dynsal.baselines.rudoy.anchors import AFTER, BEFORE
from dynsal.baselines.rudoy.candidates import Candidates, candidates
from dynsal.baselines.rudoy.evidence import Evidence, Observer
from dynsal.baselines.rudoy.features import NAMES, destination_features, pair_features, rounded
from dynsal.baselines.rudoy.forest import Model, from_sklearn, standardise
from dynsal.baselines.rudoy.notes import SUBSTITUTIONS
from dynsal.baselines.rudoy.regions import shares, top_regions
from dynsal.config_baselines import RudoyOptions
from dynsal.errors import DataError
from dynsal.fileio import atomic
from dynsal.gaze import Points, density
from dynsal.prepare import Frame

Floats = NDArray[np.float64]

SIGMA = 10.0
"""Of the gaze map, pixels of the working scale."""
SOURCE_SHARE = 0.3
"""Share of the gaze map that a source's box must hold more than."""
NEAR = 0.2
"""Distance to a peak of gaze, relative to the height, within which a destination is right."""
NEGATIVES = 5
"""Negative pairs per positive one."""
PER_SPLIT = 4
"""Features that a split may choose from: floor(sqrt(22))."""


class PairSet(NamedTuple):
    """The pairs of source and destination of one video."""

    features: NDArray[np.float32]
    """N x 22."""
    positive: NDArray[np.bool_]
    """Whether gaze was near the destination."""


def collect_pairs(
    frames: Iterable[Frame],
    points: Mapping[int, Points],
    anchors: Iterable[int],
    options: RudoyOptions,
    files: Mapping[str, Path],
) -> PairSet:
    """Return the labelled pairs of one video.

    For every anchor, jumps lead from the frame before it to the one 15 after it, counted in the frames given,
    whether kept or not. Anchors whose two frames lack gaze or are not there give nothing.

    Parameters
    ----------
    frames
        All frames of the video, in order.
    points
        Index of a frame in the source video (`Frame.index`) -> gaze points in pixels of the frames given.
    anchors
        Positions among the frames given, from 0; see `anchors.draw_anchors`.
    options, files
        As for the model that will use the pairs.

    Raises
    ------
    DataError
        If a file is missing, or frames are too small or differ in size.
    """
    anchors = sorted(anchors)
    leaving = {anchor - BEFORE for anchor in anchors}
    arriving = {anchor + AFTER for anchor in anchors}
    sources: dict[int, Floats] = {}
    parts = [PairSet(np.empty((0, len(NAMES)), np.float32), np.empty(0, bool))]

    def wanted(position: int, frame: Frame) -> bool:
        gazed = len(points.get(frame.index, ())) > 0
        due = position in leaving or (
            position in arriving and len(sources.get(position - AFTER - BEFORE, ())) > 0
        )
        return gazed and due

    for position, frame, evidence in Observer(options, files).watch(frames, wanted):
        height, width = frame.bgr.shape[:2]
        gaze = (points[frame.index] + 0.5) * np.array(evidence.size) / (width, height) - 0.5
        gaze_map = density(gaze, evidence.size, (SIGMA, SIGMA))
        found = candidates(evidence, options, frame.index)
        if position in arriving:
            start = sources.pop(position - AFTER - BEFORE, np.empty((0, 2)))
            parts.append(_pairs(evidence, found, start, near_gaze(rounded(found.points), gaze_map)))
        if position in leaving:
            sources[position] = found.points[shares(gaze_map, found.boxes) > SOURCE_SHARE]
    return PairSet(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def near_gaze(points: Floats, gaze_map: Floats) -> NDArray[np.bool_]:
    """Return which points lie within `NEAR` x height of the centre of one of the gaze map's strongest regions."""
    distances = np.hypot(*np.moveaxis(points[:, None] - top_regions(gaze_map).centres, 2, 0))
    return np.asarray((distances <= NEAR * gaze_map.shape[0]).any(axis=1))


def _pairs(evidence: Evidence, found: Candidates, sources: Floats, near: NDArray[np.bool_]) -> PairSet:
    features = pair_features(destination_features(evidence, found), sources, found.points)
    return PairSet(
        np.nan_to_num(features).astype(np.float32).reshape(-1, len(NAMES)), np.tile(near, len(sources))
    )


def draw_pairs(sets: Sequence[PairSet], most: int, rng: np.random.Generator) -> PairSet:
    """Return at most ``most`` pairs, five negative ones for a positive one, from each video in proportion.

    Every video's share of each class is rounded down to an even number.
    """
    n_positive, n_negative = (
        sum(int((one.positive == label).sum()) for one in sets) for label in (True, False)
    )
    positives = min(n_positive, most // (NEGATIVES + 1))
    negatives = min(n_negative, NEGATIVES * (most // (NEGATIVES + 1)), NEGATIVES * positives)
    parts = []
    for one in sets:
        for label, wanted, there in ((True, positives, n_positive), (False, negatives, n_negative)):
            rows = np.flatnonzero(one.positive == label)
            share = wanted * len(rows) // max(1, there) // 2 * 2
            chosen = np.sort(rng.choice(rows, share, replace=False))
            parts.append(PairSet(one.features[chosen], one.positive[chosen]))
    return PairSet(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def train(
    sets: Sequence[PairSet], options: RudoyOptions, meta: Mapping[str, Any], threads: int | None = None
) -> Model:
    """Return the model trained on the pairs of all videos.

    Parameters
    ----------
    sets
        One per video, in an order that stays the same.
    options
        Trees, most pairs, seed; stored with the model.
    meta
        Plain JSON values to store with it, such as ``trained_on``.
    threads
        As scikit-learn's ``n_jobs``; the result does not depend on it.

    Raises
    ------
    DataError
        If there are no pairs of both kinds.
    """
    drawn = (
        draw_pairs(sets, options.pairs, np.random.default_rng(options.seed))
        if sets
        else PairSet(np.empty((0, len(NAMES)), np.float32), np.empty(0, bool))
    )
    n_positive = int(drawn.positive.sum())
    if not 0 < n_positive < len(drawn.positive):
        raise DataError(
            "training of rudoy",
            f"{n_positive} pairs hit gaze and {len(drawn.positive) - n_positive} miss it, in {len(sets)} videos; "
            "both are needed",
            "Train on more videos with gaze, or on longer ones",
        )
    mean = drawn.features.mean(axis=0, dtype=np.float64).astype(np.float32)
    deviation = drawn.features.std(axis=0, ddof=1, dtype=np.float64).astype(np.float32)
    deviation[deviation == 0] = 1
    forest = RandomForestClassifier(
        options.trees, max_features=PER_SPLIT, random_state=options.seed, n_jobs=threads
    )
    forest.fit(standardise(drawn.features, mean, deviation), drawn.positive)
    facts = {
        "options": options.model_dump(),
        "pairs": {"positive": n_positive, "negative": len(drawn.positive) - n_positive, "videos": len(sets)},
        "scikit_learn": sklearn.__version__,
        "substitutions": [one._asdict() for one in SUBSTITUTIONS],
    }
    return Model(from_sklearn(forest), mean, deviation, {**meta, **facts})


def save_pairs(path: Path, pairs: PairSet) -> None:
    """Write the pairs of one video as .npz, atomically."""
    with atomic(path) as part, part.open("wb") as stream:
        np.savez_compressed(stream, features=pairs.features, positive=pairs.positive)


def load_pairs(path: Path) -> PairSet:
    """Read what `save_pairs` wrote.

    Raises
    ------
    DataError
        If the file is missing, damaged, or something else.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            pairs = PairSet(stored["features"], stored["positive"])
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(
            path, f"holds no pairs ({error})", "Delete it and run the same command again"
        ) from None
    if pairs.features.shape != (len(pairs.positive), len(NAMES)):
        raise DataError(path, "holds no pairs of this version", "Delete it and run the same command again")
    return pairs
