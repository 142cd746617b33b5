"""Draw the mean ROC curve of every net, of the centre and of one half of the viewers for the other half.

Maps are computed again for a few frames of every test video: of the scored frames with a fixation, the middles of as
many equal parts. The areas in the legend are the exact sAUC of the same frames, averaged as in the tables.
"""

import argparse
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dynsal import published, script
from dynsal.clips import Clip
from dynsal.device import limit_threads, pick_device
from dynsal.evaluation import Reference, centre_map, resize_map
from dynsal.figures import save
from dynsal.figures.series import roc
from dynsal.fileio import write_text
from dynsal.gaze import Points, density, read_gaze
from dynsal.inference import Predictor
from dynsal.metrics import sauc
from dynsal.references import load_references, viewer_halves
from dynsal.roc import GRID, curve, mean_curve, spread
from dynsal.training import load_model

Map = NDArray[np.floating[Any]]
Scored = tuple[Map, Points]
"""A map, and the fixations that it is scored by."""


def chosen(reference: Reference, most: int) -> list[int]:
    """Return the frames of a video to look at."""
    seen = [frame for frame in reference.frames.tolist() if frame in reference.points]
    return [int(frame) for frame in spread(np.array(seen, int), most)]


def of_net(predictor: Predictor, results: Path, reference: Reference, frames: list[int]) -> Iterator[Scored]:
    """Yield a net's map of every frame."""
    with (
        Clip(results / "frames" / f"{reference.video}.h5") as clip,
        Clip(results / "flow" / f"{reference.video}.h5") as flow,
    ):
        for frame in frames:
            place = int(np.searchsorted(clip.frames, frame))
            found = predictor(clip.bgr(place)[None], flow.flow(place).astype(np.float32)[None])[0]
            yield resize_map(found, reference.size), reference.points[frame]


def of_centre(saliency: Map, reference: Reference, frames: list[int]) -> Iterator[Scored]:
    """Yield the centre for every frame."""
    for frame in frames:
        yield saliency, reference.points[frame]


def of_halves(
    halves: list[tuple[dict[int, Points], dict[int, Points]]], reference: Reference, frames: list[int]
) -> Iterator[Scored]:
    """Yield the density of one half of the viewers with the fixations of the other, for every draw that has both."""
    for frame in frames:
        for first, second in halves:
            if frame in first and frame in second:
                yield density(first[frame], reference.size, reference.sigma), second[frame]


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    params = script.read_params(arguments)
    limit_threads(arguments.threads)
    results = arguments.results
    references = load_references(results, arguments.videos, params.gaze, params.evaluate)
    frames = {video: chosen(reference, arguments.most) for video, reference in references.items()}
    centre = published.centre_map if params.evaluate.protocol == "published" else centre_map
    rows: dict[str, dict[str, Iterator[Scored]]] = {}
    for name in arguments.models:
        path = results / "models" / name / f"seed{arguments.seed}" / "model.safetensors"
        show = partial(of_net, Predictor(*load_model(path), pick_device()), results)
        rows[name] = {video: show(reference, frames[video]) for video, reference in references.items()}
    if "human" in arguments.floors:
        halves = {
            video: viewer_halves(read_gaze(results / "gaze" / f"{video}.parquet"), params.evaluate)
            for video in references
        }
        rows["human"] = {
            video: of_halves(halves[video], reference, frames[video])
            for video, reference in references.items()
        }
    rows["centre"] = {
        video: of_centre(centre(reference.size), reference, frames[video])
        for video, reference in references.items()
    }
    curves, areas = {}, {}
    for name, videos in rows.items():
        found, exact = [], []
        for video, scored in videos.items():
            negatives = references[video].other_videos
            pairs = list(scored)
            if pairs:
                found.append(np.stack([curve(saliency, points, negatives) for saliency, points in pairs]))
                exact.append(np.nanmean([sauc(saliency, points, negatives) for saliency, points in pairs]))
        curves[name], areas[name] = mean_curve(found), float(np.mean(exact))
        script.log.info("%s: sAUC %.4f of these frames", name, areas[name])
    count = sum(map(len, frames.values()))
    note = (
        f"{count} frames: of each of {len(frames)} test videos at most {arguments.most} with a fixation, evenly spread. Curves are "
        "means over frames, then videos; mean sAUC: the exact score of these frames, first seed."
    )
    save(roc(curves, GRID, areas, note), arguments.out)
    table = pd.DataFrame({"false_positive_rate": GRID, **curves})
    write_text(arguments.table, table.to_csv(index=False, float_format="%.6f", lineterminator="\n"))


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument("--results", type=Path, required=True, help="results/{ds}")
    parser.add_argument("--videos", nargs="+", required=True, help="test videos")
    parser.add_argument("--models", nargs="+", required=True, help="nets")
    parser.add_argument("--floors", nargs="*", default=[], help="of these, human is drawn beside the centre")
    parser.add_argument("--seed", type=int, default=0, help="whose weights are used")
    parser.add_argument("--most", type=int, default=20, help="frames of a video")
    parser.add_argument("--threads", type=int, default=8, help="at most; never more than the CPUs at hand")
    parser.add_argument("--table", type=Path, required=True, help="CSV of the curves to write")
    parser.add_argument(
        "--out", type=Path, nargs="+", required=True, help="pictures; the suffix gives the format"
    )
    script.run(main, parser.parse_args())
