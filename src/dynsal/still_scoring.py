"""What the maps of still images are scored against; the counterpart of `dynsal.references` for shards of images.

A score table has one row per image: ``frame`` (its number in the shard), ``image`` (its file name), ``n_fixations``, one
column per metric of :data:`dynsal.still_metrics.STILL_METRICS`, and ``skipped`` as in `dynsal.evaluation`. An image
counts in the tables as a video does elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from dynsal.clips import Clip
from dynsal.config import DatasetConfig, EvaluateConfig, GazeConfig
from dynsal.errors import DataError
from dynsal.evaluation import Map, Target, mean_map, resize_map, score_halves, score_video
from dynsal.gaze import GazeFile, Points, Size, by_frame, read_gaze
from dynsal.pools import SameVideoPool, other_images_pool, split_halves
from dynsal.still_metrics import STILL_METRICS, Truth, merged_pixels, salicon_points, score_still


@runtime_checkable
class KnowsTruth(Protocol):
    """A synthetic data set, whose viewers were drawn from a density that it knows."""

    def truth(self, video: str) -> NDArray[np.float32]:
        """Return the density of every image of a shard, n x rows x columns."""
        ...


@dataclass(frozen=True)
class StillReference(Target):
    """What the maps of one shard of still images are scored against.

    Parameters
    ----------
    video, frames, points, size, sigma
        As for `dynsal.evaluation.Target`; the video is the shard, a frame an image.
    images
        File name of each of ``frames``.
    first
        Number of the shard's first image in the pools.
    pool, salicon_pool
        Fixations of images of all shards, and the same as SALICON's evaluation counts them.
    mouse
        Whether points are mouse samples, see `dynsal.still_metrics.salicon_points`.
    seed
        Of the random pixels of SALICON's AUC.
    """

    columns: ClassVar[tuple[str, ...]] = tuple(STILL_METRICS)

    images: tuple[str, ...]
    first: int
    pool: SameVideoPool
    salicon_pool: SameVideoPool
    mouse: bool
    seed: int

    def score(self, frame: int, saliency: Map, fixations: Points, truth: Map) -> dict[str, float]:
        """Return every metric of one map of an image."""
        number = self.first + frame
        compared = Truth(
            fixations=fixations,
            negatives=self.pool.negatives(number),
            density=truth,
            salicon_fixations=salicon_points(fixations, self.mouse),
            salicon_negatives=self.salicon_pool.negatives(number),
        )
        return score_still(saliency, compared, self.seed)


def load_still_references(
    results: Path,
    shards: Sequence[str],
    dataset: DatasetConfig,
    gaze: GazeConfig,
    evaluate: EvaluateConfig,
) -> dict[str, StillReference]:
    """Read the gaze of all test shards and draw the negatives of their images.

    Negatives of an image are the fixations of all other test images that the draw took: ``evaluate.pool_frames`` of
    each shard. ``evaluate.protocol`` and ``evaluate.frames`` are about videos and change nothing here.

    Parameters
    ----------
    results
        Folder with ``frames/<shard>.h5`` and ``gaze/<shard>.parquet``.
    shards
        The test shards.
    dataset
        Its name says whether the gaze is SALICON's mouse samples.
    gaze, evaluate
        Width of the density; size and seed of the pool.

    Raises
    ------
    DataError
        If a file is missing or damaged, sizes differ between shards, or a clip does not name its images.
    """
    files = {shard: read_gaze(results / "gaze" / f"{shard}.parquet") for shard in shards}
    size = _common_size(files)
    mouse = dataset.name == "salicon"
    pool, first = other_images_pool(
        {shard: file.table for shard, file in files.items()}, evaluate.pool_frames, evaluate.pool_seed
    )
    salicon_pool = _as_salicon_counts(pool, size, mouse)
    references = {}
    for shard, file in files.items():
        with Clip(results / "frames" / f"{shard}.h5") as clip:
            frames, images = clip.frames, tuple(clip.names)
        if len(images) != len(frames):
            raise DataError(clip.path, "does not name its images", "Delete it and run the same command again")
        references[shard] = StillReference(
            video=shard,
            frames=frames,
            points=file.points,
            size=size,
            sigma=file.sigma(gaze.sigma_deg, gaze.px_per_deg),
            images=images,
            first=first[shard],
            pool=pool,
            salicon_pool=salicon_pool,
            mouse=mouse,
            seed=evaluate.pool_seed,
        )
    return references


def score_images(reference: StillReference, maps: Iterable[tuple[int, Map]]) -> pd.DataFrame:
    """Return the score table of a stream of (image number, H x W map), which must come in order and be complete.

    Raises
    ------
    ValueError
        As `dynsal.evaluation.score_video`.
    """
    return _named(reference, score_video(reference, maps))


def score_viewers(reference: StillReference, file: GazeFile, evaluate: EvaluateConfig) -> pd.DataFrame:
    """Return the score table of the human ceiling: half the viewers as predictors of the others, mean over draws.

    Viewers are split over the whole shard. Each half of an image keeps the negatives of the whole image: those of all
    viewers of all others.

    Raises
    ------
    ValueError
        If the shard has fewer than 2 viewers.
    """
    splits = (split_halves(file.table, evaluate.pool_seed + draw) for draw in range(evaluate.human_draws))
    halves = [(by_frame(one), by_frame(other)) for one, other in splits]
    return _named(reference, score_halves(reference, halves))


def mean_image_map(files: Iterable[GazeFile], gaze: GazeConfig, size: Size) -> Map:
    """Return the mean density over all images that have a fixation, H x W at ``size``, sum 1.

    Raises
    ------
    DataError
        If a file is of another size: its points would mean other places.
    """

    def images() -> Iterator[tuple[dict[int, Points], tuple[float, float]]]:
        for file in files:
            if file.size != size:
                raise DataError(
                    file.video, f"its gaze is for {_text(file.size)}", f"Prepare it at {_text(size)}"
                )
            sigma = file.sigma(gaze.sigma_deg, gaze.px_per_deg)
            for points in file.points.values():
                yield {0: points}, sigma

    return mean_map(images(), size)


def expected_maps(reference: StillReference, truth: NDArray[np.floating[Any]]) -> Iterator[tuple[int, Map]]:
    """Yield what the ground truth would be with infinitely many viewers: the known density, blurred as fixations are.

    Parameters
    ----------
    reference
        Of the shard.
    truth
        n x rows x columns, the density from which the viewers of image i were drawn, at any size.
    """
    for frame in reference.frames.tolist():
        sharp = resize_map(truth[frame].astype(np.float64), reference.size)
        yield frame, gaussian_filter(sharp, reference.sigma[::-1], mode="constant")


def _named(reference: StillReference, table: pd.DataFrame) -> pd.DataFrame:
    table.insert(1, "image", pd.Series(reference.images, dtype="str"))
    return table


def _common_size(files: dict[str, GazeFile]) -> Size:
    sizes = {file.size: shard for shard, file in files.items()}
    if len(sizes) > 1:
        found = ", ".join(f"{shard} {_text(size)}" for size, shard in sizes.items())
        raise DataError("test shards", f"have different sizes: {found}", "Prepare all at one size")
    return next(iter(sizes))


def _text(size: Size) -> str:
    return f"{size[0]}x{size[1]}"


def _as_salicon_counts(pool: SameVideoPool, size: Size, mouse: bool) -> SameVideoPool:
    """Return the pool with each image's points filtered (mouse samples) and merged to pixels, image by image."""
    numbers, starts = np.unique(pool.frames, return_index=True)
    parts = np.split(pool.points, starts[1:]) if len(numbers) else []
    kept = [merged_pixels(salicon_points(points, mouse), size) for points in parts]
    frames = np.repeat(numbers, [len(points) for points in kept])
    return SameVideoPool(frames.astype(np.int64), np.concatenate([np.empty((0, 2)), *kept]))
