"""Score what needs no training: centre, uniform, mean map, human halves and, for the demo, the true density."""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter

from dynsal import published, script
from dynsal.config import DatasetConfig
from dynsal.datasets.demo import Demo
from dynsal.evaluation import (
    Map,
    Reference,
    centre_map,
    constant,
    mean_map,
    resize_map,
    score_halves,
    score_video,
    uniform_map,
)
from dynsal.fileio import atomic
from dynsal.gaze import read_gaze
from dynsal.references import load_references, score_path, viewer_halves


def expected_maps(results: Path, reference: Reference) -> Iterator[tuple[int, Map]]:
    """Yield what the ground truth of the demo world would be with infinitely many viewers.

    That is the known density blurred as the fixations are: no map can be closer to the ground truth on average.
    """
    truth = Demo(results / "raw", DatasetConfig()).truth(reference.video)
    for frame in reference.frames.tolist():
        sharp = cv2.resize(truth[frame].astype(np.float64), reference.size, interpolation=cv2.INTER_LINEAR)
        yield frame, gaussian_filter(sharp, reference.sigma[::-1], mode="constant")


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    cv2.setNumThreads(1)
    params = script.read_params(arguments)
    results = arguments.results
    references = load_references(results, arguments.videos, params.gaze, params.evaluate)
    training = (read_gaze(results / "gaze" / f"{video}.parquet") for video in arguments.training)
    prior: Map = np.empty((0, 0))
    if "mean_map" in arguments.names:
        prior = mean_map(
            ((file.points, file.sigma(params.gaze.sigma_deg, params.gaze.px_per_deg)) for file in training),
            read_gaze(results / "gaze" / f"{arguments.training[0]}.parquet").size,
        )
    floors: dict[str, Callable[[tuple[int, int]], Map]] = {
        "centre": published.centre_map if params.evaluate.protocol == "published" else centre_map,
        "uniform": uniform_map,
        "mean_map": lambda size: resize_map(prior, size),
    }
    for name in arguments.names:
        for video, reference in references.items():
            if name == "human":
                file = read_gaze(results / "gaze" / f"{video}.parquet")
                halves = viewer_halves(file, params.evaluate)
                table = score_halves(reference, halves)
            elif name == "oracle":
                table = score_video(reference, expected_maps(results, reference))
            else:
                table = score_video(reference, constant(reference, floors[name](reference.size)))
            with atomic(score_path(results, name, 0, video)) as part:
                table.to_parquet(part, index=False)
        script.log.info("%s: %d videos", name, len(references))


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument(
        "--names", nargs="+", required=True, choices=["centre", "uniform", "mean_map", "human", "oracle"]
    )
    parser.add_argument("--results", type=Path, required=True, help="results/{ds}, with frames and gaze")
    parser.add_argument("--videos", nargs="+", required=True, help="test videos")
    parser.add_argument("--training", nargs="+", required=True, help="training videos, for the mean map")
    script.run(main, parser.parse_args())
