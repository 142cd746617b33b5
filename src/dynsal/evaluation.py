"""Per-frame scores of saliency maps against gaze; floors and ceilings.

A score table has one row per frame: frame, n_fixations, one column per metric of :data:`dynsal.metrics.METRICS`, and
``skipped`` with the reason if the frame could not be scored (its metrics are NaN and it enters no mean). Aggregation
is a step of its own (:mod:`dynsal.tables`).
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dynsal import metrics
from dynsal.gaze import density
from dynsal.video import resize

Map = NDArray[np.floating[Any]]
Points = NDArray[np.float64]

CENTRE_SD = 1 / 6
"""Standard deviations of the centre floor as a fraction of width and height."""

NO_FIXATION = "no fixation"
NO_OTHER_HALF = "no fixation of one half of the viewers"


class NegativePool(Protocol):
    """Negatives for a frame from other frames of the same video."""

    def negatives(self, frame: int) -> Points:
        """Return K x 2 points."""
        ...


@dataclass(frozen=True)
class Target(abc.ABC):
    """What the maps of one video, or of one shard of still images, are scored against.

    Parameters
    ----------
    video
        Name, for messages.
    frames
        Source indices of the frames to score.
    points
        Fixations (K x 2, columns x, y) of each frame that has any.
    size
        Width and height of the maps.
    sigma
        Standard deviations in x and y of the ground truth's Gaussian, in pixels of the maps.
    """

    columns: ClassVar[tuple[str, ...]]
    """Names of the metrics."""

    video: str
    frames: NDArray[np.int32]
    points: Mapping[int, Points]
    size: tuple[int, int]
    sigma: tuple[float, float]

    @abc.abstractmethod
    def score(self, frame: int, saliency: Map, fixations: Points, truth: Map) -> dict[str, float]:
        """Return the metrics of one map of a frame, by name."""

    def density(self, frame: int) -> Map:
        """Return the ground-truth density of a frame with fixations, H x W, sum 1."""
        return density(self.points[frame], self.size, self.sigma)


@dataclass(frozen=True)
class Reference(Target):
    """What the maps of one video are scored against.

    Parameters
    ----------
    video, frames, points, size, sigma
        As for :class:`Target`.
    other_videos
        Negatives for ``sauc``.
    same_video
        Negatives for ``sauc_same_video``.
    published_auc
        If given, ``sauc`` is this function of (map, fixations, same video's negatives, frame) instead: that of
        :mod:`dynsal.published`.
    names
        Metrics to compute; the others are NaN.
    """

    columns: ClassVar[tuple[str, ...]] = tuple(metrics.METRICS)

    other_videos: Points
    same_video: NegativePool
    published_auc: Callable[[Map, Points, Points, int], float] | None = None
    names: tuple[str, ...] = tuple(metrics.METRICS)

    def score(self, frame: int, saliency: Map, fixations: Points, truth: Map) -> dict[str, float]:
        """Return every metric of one map by this reference's negatives."""
        same_video = self.same_video.negatives(frame)
        scores = score_map(saliency, fixations, truth, self.other_videos, same_video, self.names)
        if self.published_auc is not None:
            scores["sauc"] = self.published_auc(saliency, fixations, same_video, frame)
        return scores


def select_frames(
    frames: NDArray[np.int32], source_frames: int, which: Literal["all", "trim30", "first300"]
) -> NDArray[np.int32]:
    """Choose the source frames that are scored: all, 30 .. N - 30 counted from 1 (Rudoy's code), or the first 300."""
    if which == "trim30":
        return frames[(frames >= 29) & (frames <= source_frames - 31)]
    if which == "first300":
        return frames[frames < 300]
    return frames


def score_map(
    saliency: Map,
    fixations: Points,
    truth: Map,
    other_videos: Points,
    same_video: Points,
    names: Sequence[str] = tuple(metrics.METRICS),
) -> dict[str, float]:
    """Return the named metrics of one map (H x W, non-negative, positive sum)."""
    calls: dict[str, Callable[[], float]] = {
        "sauc": lambda: metrics.sauc(saliency, fixations, other_videos),
        "sauc_same_video": lambda: metrics.sauc(saliency, fixations, same_video),
        "chi2": lambda: metrics.chi2(saliency, truth),
        "auc_judd": lambda: metrics.auc_judd(saliency, fixations),
        "nss": lambda: metrics.nss(saliency, fixations),
        "cc": lambda: metrics.cc(saliency, truth),
        "sim": lambda: metrics.sim(saliency, truth),
        "kld": lambda: metrics.kld(saliency, truth),
    }
    return {name: calls[name]() for name in names}


def score_video(reference: Target, maps: Iterable[tuple[int, Map]]) -> pd.DataFrame:
    """Score a stream of (source frame, map); every frame of the reference must come exactly once, in order.

    Raises
    ------
    ValueError
        If the stream lacks a frame, repeats one or brings one that is not asked for, or a map has another size.
    """
    rows = []
    expected = iter(reference.frames.tolist())
    for frame, saliency in maps:
        if frame != next(expected, None):
            raise ValueError(
                f"{reference.video}: map of frame {frame} came out of order or was not asked for"
            )
        if saliency.shape != reference.size[::-1]:
            raise ValueError(
                f"{reference.video}: the map of frame {frame} is {saliency.shape[1]}x{saliency.shape[0]}, "
                f"the ground truth {reference.size[0]}x{reference.size[1]}"
            )
        fixations = reference.points.get(frame)
        if fixations is None:
            rows.append(_skipped(reference, frame, NO_FIXATION))
            continue
        scores = reference.score(frame, saliency, fixations, reference.density(frame))
        rows.append({"frame": frame, "n_fixations": len(fixations), **scores, "skipped": ""})
    missing = next(expected, None)
    if missing is not None:
        raise ValueError(f"{reference.video}: no map for frame {missing}")
    return _table(reference, rows)


def score_halves(
    reference: Target, halves: Iterable[tuple[Mapping[int, Points], Mapping[int, Points]]]
) -> pd.DataFrame:
    """Score one half of the viewers as a predictor of the other half, averaged over draws.

    This is the human ceiling as half the viewers can reach it: it understates what all of them could, and its
    distribution metrics compare two densities of half the fixations each.
    """
    rows = []
    draws = list(halves)
    for frame in reference.frames.tolist():
        pairs = [
            (first[frame], second[frame]) for first, second in draws if frame in first and frame in second
        ]
        if not pairs:
            seen = len(reference.points.get(frame, ()))
            rows.append(_skipped(reference, frame, NO_OTHER_HALF if seen else NO_FIXATION, seen))
            continue
        scores = [
            reference.score(
                frame,
                density(first, reference.size, reference.sigma),
                second,
                density(second, reference.size, reference.sigma),
            )
            for first, second in pairs
        ]
        mean = {name: float(np.mean([score[name] for score in scores])) for name in scores[0]}
        rows.append({"frame": frame, "n_fixations": len(reference.points[frame]), **mean, "skipped": ""})
    return _table(reference, rows)


def constant(reference: Target, saliency: Map) -> Iterator[tuple[int, Map]]:
    """Yield the same map for every frame."""
    for frame in reference.frames.tolist():
        yield frame, saliency


def centre_map(size: tuple[int, int]) -> Map:
    """Return the centre floor: a Gaussian in the middle, as wide as :data:`CENTRE_SD` says."""
    width, height = size
    middle = np.array([[(width - 1) / 2, (height - 1) / 2]])
    return density(middle, size, (width * CENTRE_SD, height * CENTRE_SD))


def uniform_map(size: tuple[int, int]) -> Map:
    """Return the floor that knows nothing."""
    return np.full(size[::-1], 1 / (size[0] * size[1]))


def resize_map(saliency: Map, size: tuple[int, int]) -> Map:
    """Rescale a map to (width, height): area average where it shrinks, linear where it grows; unchanged if equal."""
    return resize(np.asarray(saliency), size)


def fitted(
    maps: Iterable[tuple[int, Map]], size: tuple[int, int], blank: list[int] | None = None
) -> Iterator[tuple[int, Map]]:
    """Yield maps ready to be scored: rescaled to ``size``, and uniform where a model had nothing to say.

    Parameters
    ----------
    maps
        Frame and H x W map, >= 0.
    size
        Width and height wanted.
    blank
        Receives the frames whose map was zero everywhere: it cannot be normalised and scores as a guess.
    """
    for frame, saliency in maps:
        fit = resize_map(saliency, size)
        if not (fit > 0).any():
            if blank is not None:
                blank.append(frame)
            fit = np.ones_like(fit)
        yield frame, fit


def mean_map(
    videos: Iterable[tuple[Mapping[int, Points], tuple[float, float]]], size: tuple[int, int]
) -> Map:
    """Return the mean ground-truth density over videos given as (points by frame, sigma), each video weighing alike."""
    total = np.zeros(size[::-1])
    for points, sigma in videos:
        frames = [density(fixations, size, sigma) for fixations in points.values()]
        total += np.mean(frames, axis=0)
    return np.asarray(total / total.sum())


def _skipped(target: Target, frame: int, reason: str, n_fixations: int = 0) -> dict[str, Any]:
    return {
        "frame": frame,
        "n_fixations": n_fixations,
        **dict.fromkeys(target.columns, np.nan),
        "skipped": reason,
    }


def _table(target: Target, rows: list[dict[str, Any]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["frame", "n_fixations", *target.columns, "skipped"])
    return table.astype({"frame": "int32", "n_fixations": "int32", "skipped": "str"})
