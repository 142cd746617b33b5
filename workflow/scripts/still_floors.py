"""Score on still images what needs no training: centre, uniform, mean map, human halves and the known density."""

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from dynsal import script
from dynsal.config import DatasetConfig
from dynsal.datasets import open_dataset
from dynsal.errors import DataError
from dynsal.evaluation import Map, centre_map, constant, uniform_map
from dynsal.fileio import atomic
from dynsal.gaze import read_gaze
from dynsal.references import score_path
from dynsal.still_scoring import (
    KnowsTruth,
    expected_maps,
    load_still_references,
    mean_image_map,
    score_images,
    score_viewers,
)


def known_density(config: DatasetConfig, raw: Path, shard: str) -> NDArray[np.float32]:
    """Return the density from which the viewers of a shard were drawn.

    Raises
    ------
    DataError
        If the data set is no synthetic one.
    """
    dataset = open_dataset(config, raw)
    if not isinstance(dataset, KnowsTruth):
        raise DataError("oracle", f"{config.name} has no known density", "Leave the oracle out of --names")
    return dataset.truth(shard)


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    cv2.setNumThreads(1)
    params = script.read_params(arguments)
    results, shards = arguments.results, arguments.shards
    references = load_still_references(results, shards, params.dataset, params.gaze, params.evaluate)
    size = references[shards[0]].size
    floors: dict[str, Map] = {"centre": centre_map(size), "uniform": uniform_map(size)}
    if "mean_map" in arguments.names:
        training = (read_gaze(results / "gaze" / f"{shard}.parquet") for shard in arguments.training)
        floors["mean_map"] = mean_image_map(training, params.gaze, size)
    for name in arguments.names:
        for shard, reference in references.items():
            if name == "human":
                file = read_gaze(results / "gaze" / f"{shard}.parquet")
                table = score_viewers(reference, file, params.evaluate)
            elif name == "oracle":
                truth = known_density(params.dataset, results / "raw", shard)
                table = score_images(reference, expected_maps(reference, truth))
            else:
                table = score_images(reference, constant(reference, floors[name]))
            with atomic(score_path(results, name, 0, shard)) as part:
                table.to_parquet(part, index=False)
        script.log.info("%s: %d images", name, sum(len(one.images) for one in references.values()))


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument(
        "--names", nargs="+", required=True, choices=["centre", "uniform", "mean_map", "human", "oracle"]
    )
    parser.add_argument("--results", type=Path, required=True, help="results/{ds}, with frames and gaze")
    parser.add_argument("--shards", nargs="+", required=True, help="test shards")
    parser.add_argument("--training", nargs="+", required=True, help="training shards, for the mean map")
    script.run(main, parser.parse_args())
