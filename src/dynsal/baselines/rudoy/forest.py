"""The random forest of Rudoy et al.: trained by scikit-learn, kept and evaluated as plain arrays.

A pickled forest can run any code when it is read and is bound to one version of scikit-learn; a file of
arrays does neither.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from dynsal.baselines.rudoy.features import NAMES
from dynsal.errors import DataError
from dynsal.fileio import atomic

_KEY = "dynsal"
_KIND = "rudoy forest 1"
_REMEDY = "Train it again"


@dataclass(frozen=True)
class Forest:
    """Trees one after the other, each in preorder: the left child of a node is the next node."""

    roots: NDArray[np.int32]
    """First node of each tree."""
    feature: NDArray[np.int8]
    """Feature that a node compares; -1 for a leaf."""
    threshold: NDArray[np.float32]
    """Values up to it go left. In a leaf: the tree's vote, 0 or 1."""
    right: NDArray[np.int32]
    """The right child, counted from the first node of all; 0 for a leaf."""

    def votes(self, features: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Return N x trees: which trees call a row of N x 22 features positive."""
        rows = np.ascontiguousarray(features, np.float32)
        nodes = np.tile(self.roots, len(rows))
        row = np.repeat(np.arange(len(rows)), len(self.roots))
        walking = np.flatnonzero(self.feature[nodes] >= 0)
        while len(walking):
            at = nodes[walking]
            left = rows[row[walking], self.feature[at]] <= self.threshold[at]
            nodes[walking] = at = np.where(left, at + 1, self.right[at])
            walking = walking[self.feature[at] >= 0]
        return (self.threshold[nodes] > 0).reshape(len(rows), len(self.roots))


@dataclass(frozen=True)
class Model:
    """A trained model: the forest, the scale of its features, and where it comes from."""

    forest: Forest
    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]
    meta: dict[str, Any]
    """Plain JSON values: options, counts of pairs, versions, substitutions, and what the caller adds."""

    def positive(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the fraction of trees that call each row of N x 22 features positive."""
        voted = self.forest.votes(standardise(features, self.mean, self.deviation))
        return np.asarray(voted.mean(axis=1), np.float64)


def standardise(
    features: NDArray[np.floating], mean: NDArray[np.float32], deviation: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return z-scores in single precision, what trees compare."""
    return (np.asarray(features, np.float32) - mean) / deviation


def from_sklearn(trained: Any) -> Forest:
    """Return the trees of a fitted ``RandomForestClassifier`` of two classes (False, True) as arrays.

    A leaf votes for its majority, for False where both classes are equal, as ``predict`` of the single tree does.
    """
    roots, features, thresholds, rights = [], [], [], []
    first = 0
    for tree in (estimator.tree_ for estimator in trained.estimators_):
        inner = tree.children_left >= 0
        if (tree.children_left[inner] != np.flatnonzero(inner) + 1).any():
            raise ValueError("scikit-learn no longer stores trees in preorder")
        vote = tree.value[:, 0, 1] > tree.value[:, 0, 0]
        roots.append(first)
        features.append(np.where(inner, tree.feature, -1).astype(np.int8))
        thresholds.append(np.where(inner, _down(tree.threshold), vote.astype(np.float32)))
        rights.append(np.where(inner, tree.children_right + first, 0).astype(np.int32))
        first += tree.node_count
    return Forest(
        np.array(roots, np.int32),
        np.concatenate(features),
        np.concatenate(thresholds),
        np.concatenate(rights),
    )


def _down(threshold: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the largest single-precision numbers that are no larger: they split such numbers alike."""
    near = threshold.astype(np.float32)
    return np.where(near > threshold, np.nextafter(near, np.float32(-np.inf)), near)


def save_model(path: Path, model: Model) -> None:
    """Write a model as one .safetensors file, atomically, with its ``meta`` as JSON in the header."""
    arrays = {**vars(model.forest), "mean": model.mean, "deviation": model.deviation}
    head = json.dumps({"kind": _KIND, "features": NAMES, **model.meta}, sort_keys=True)
    with atomic(Path(path)) as part:
        save_file(arrays, part, metadata={_KEY: head})


def load_model(path: Path) -> Model:
    """Read what `save_model` wrote.

    Raises
    ------
    DataError
        If the file is missing, damaged, or something else; a file that passes cannot send a walk through its
        trees astray.
    """
    if not Path(path).is_file():
        raise DataError(path, "the trained model is missing", "Train it first")
    try:
        with safe_open(path, "numpy") as stored:
            meta = json.loads((stored.metadata() or {})[_KEY])
            arrays = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118  # no mapping
        forest = Forest(*(arrays[name] for name in ("roots", "feature", "threshold", "right")))
        model = Model(forest, arrays["mean"], arrays["deviation"], meta)
    except (SafetensorError, KeyError, ValueError) as error:
        raise DataError(path, f"is no trained model of this kind ({error})", _REMEDY) from error
    if meta.pop("kind", None) != _KIND or tuple(meta.pop("features", ())) != NAMES:
        raise DataError(path, "was trained by another version of the program", _REMEDY)
    if not _sound(model):
        raise DataError(path, "is damaged: its trees do not hang together", _REMEDY)
    return model


def _sound(model: Model) -> bool:
    forest, n = model.forest, len(NAMES)
    nodes = len(forest.feature)
    if model.mean.shape != (n,) or model.deviation.shape != (n,):
        return False
    if not (len(forest.roots) and nodes == len(forest.threshold) == len(forest.right)):
        return False
    ends = np.append(forest.roots[1:], nodes)
    if forest.roots[0] != 0 or (ends <= forest.roots).any() or ends[-1] != nodes or forest.feature.max() >= n:
        return False
    inner = np.flatnonzero(forest.feature >= 0)
    end = ends[np.searchsorted(forest.roots, inner, side="right") - 1]
    return bool((forest.right[inner] > inner + 1).all() and (forest.right[inner] < end).all())
