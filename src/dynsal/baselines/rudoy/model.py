"""Saliency of videos from a sparse set of candidates (Rudoy, Goldman, Shechtman, Zelnik-Manor, CVPR 2013).

A frame gives a few candidates (`candidates`); a random forest, trained on gaze (`training`), says
how likely gaze jumps from where it was to each of them; the map is a Gaussian per candidate. Where gaze was,
the model takes from its own previous map.

The model follows the authors' Matlab release, at its small scale of 144 rows, with other parts in some places
(`dynsal.baselines.rudoy.notes`). All frames given are predicted, in order, whether or not they are kept: a map depends on the
one before it, and must not depend on which frames are scored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dynsal.baselines.base import Frame, Maps
from dynsal.baselines.matlab import imresize
from dynsal.baselines.rudoy.candidates import Candidates, candidates, frame_centre
from dynsal.baselines.rudoy.evidence import Observer
from dynsal.baselines.rudoy.features import destination_features, pair_features
from dynsal.baselines.rudoy.forest import load_model
from dynsal.baselines.rudoy.regions import shares, top_regions
from dynsal.config_baselines import RudoyOptions
from dynsal.errors import DataError

Floats = NDArray[np.float64]

_MEASURING = ("faces", "people", "person_score", "flow")
"""Options that must be those of the training: with others, features mean something else."""


class Sources(NamedTuple):
    """Where gaze is taken to have been."""

    points: Floats
    """S x 2."""
    scores: Floats
    """S, the largest 1."""


class Rudoy:
    """The model for one configuration; `files` holds the trained ``model`` and, for faces, the cascade.

    Raises
    ------
    DataError
        If a file is missing or damaged, or the model was trained with other options.
    """

    def __init__(self, options: RudoyOptions, files: Mapping[str, Path]) -> None:
        if "model" not in files:
            raise DataError("rudoy", "has no trained model", "Train it, or name its file")
        self._options = options
        self._model = load_model(files["model"])
        self._observer = Observer(options, files)
        for name in _MEASURING:
            trained, asked = self._model.meta["options"][name], getattr(options, name)
            if trained != asked:
                raise DataError(
                    files["model"],
                    f"was trained with {name} = {trained}, not {asked}",
                    f"Set {name} back, or train the model again",
                )

    def maps(self, frames: Iterable[Frame]) -> Maps:
        """Yield the map of every kept frame; see `dynsal.baselines.base.Baseline`."""
        previous: Floats | None = None
        for _, frame, evidence in self._observer.watch(frames, lambda *_: True):
            found = candidates(evidence, self._options, frame.index)
            sources = sources_of(previous, evidence.size)
            features = pair_features(destination_features(evidence, found), sources.points, found.points)
            positive = self._model.positive(features.reshape(-1, features.shape[2])).reshape(
                features.shape[:2]
            )
            previous = splat(found, destination_scores(positive, sources.scores), evidence.size)
            if frame.kept:
                large = imresize(previous, frame.bgr.shape[:2])
                yield frame.index, np.maximum(large, 0).astype(np.float32)


def sources_of(previous: Floats | None, size: tuple[int, int]) -> Sources:
    """Return the strongest regions of the previous map, scored by their boxes' share of it.

    Without a previous map, or with a flat one, the only source is the frame's centre.
    """
    regions = None if previous is None else top_regions(previous)
    if previous is None or regions is None or not len(regions.centres):
        return Sources(frame_centre(size)[None], np.ones(1))
    held = shares(previous, regions.boxes)
    return Sources(regions.centres, held / held.max())


def destination_scores(positive: Floats, source_scores: Floats) -> Floats:
    """Return the score of every destination, the largest 1; all 0 if no tree votes for any.

    Parameters
    ----------
    positive
        S x K fractions of trees that call the jump from source to destination positive. Those of at most one
        half count as 0, unless the source has no other; then each source's row is divided by its sum.
    source_scores
        S weights of the sources.
    """
    sure = positive > 0.5
    chances = np.where(sure | ~sure.any(axis=1, keepdims=True), positive, 0.0)
    total = chances.sum(axis=1, keepdims=True)
    chances = np.divide(chances, total, out=np.zeros_like(chances), where=total > 0)
    scores: Floats = source_scores @ chances
    return scores / scores.max() if scores.max() > 0 else scores


def splat(found: Candidates, scores: Floats, size: tuple[int, int]) -> Floats:
    """Return the H x W sum of the candidates' Gaussians, of doubled covariance, times their scores; the maximum is 1."""
    width, height = size
    x, y = found.points[:, :1], found.points[:, 1:]
    across = np.exp(-((np.arange(width) - x) ** 2) / (4 * found.variances[:, :1]))
    down = np.exp(-((np.arange(height) - y) ** 2) / (4 * found.variances[:, 1:]))
    summed: Floats = (down * scores[:, None]).T @ across
    return summed / summed.max() if summed.max() > 0 else summed
