"""Render what the viewer shows of one test video: input, motion, gaze and every net's map, as one video and its facts."""

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from dynsal import published, script
from dynsal import viewer_panels as panels
from dynsal.clips import Clip
from dynsal.datasets import open_dataset
from dynsal.device import limit_threads, pick_device
from dynsal.evaluation import centre_map
from dynsal.figures import label
from dynsal.fileio import write_text
from dynsal.gaze import density, read_gaze
from dynsal.inference import Predictor
from dynsal.references import score_path
from dynsal.training import load_model
from dynsal.video import resize
from dynsal.viewer import VIDEO_LIMIT, Panel, Showing, curve, mean

CEILING, FLOOR = "human", "centre"


def originals(
    arguments: argparse.Namespace, params: script.Params, frames: list[int]
) -> Iterator[panels.Picture]:
    """Yield the original pictures of some frames, in order; what comes after them is not decoded."""
    wanted, left = set(frames), len(frames)
    source = open_dataset(params.dataset, arguments.raw).open_frames(arguments.video, wanted.__contains__)
    for _, bgr in source:
        if bgr is not None:
            yield bgr
            left -= 1
        if not left:
            return


def load_scores(arguments: argparse.Namespace) -> dict[str, "pd.Series[float]"]:
    """Return the sAUC of every frame that is scored, of the nets, the floor and, where there is one, the ceiling."""
    seeds = {**dict.fromkeys(arguments.models, arguments.seed), **dict.fromkeys(arguments.beside, 0)}
    paths = {name: score_path(arguments.results, name, seed, arguments.video) for name, seed in seeds.items()}
    return {name: pd.read_parquet(path).set_index("frame")["sauc"] for name, path in paths.items()}


def mosaics(
    arguments: argparse.Namespace, params: script.Params, frames: list[int], nets: dict[str, Predictor]
) -> Iterator[panels.Picture]:
    """Yield all panels of every frame: input, motion, gaze, the map of every net, the centre."""
    results, video = arguments.results, arguments.video
    gaze = read_gaze(results / "gaze" / f"{video}.parquet")
    sigma = gaze.sigma(params.gaze.sigma_deg, params.gaze.px_per_deg)
    size, bound = panels.panel_size(gaze.source_size), widest(nets)
    centre = published.centre_map if params.evaluate.protocol == "published" else centre_map
    floor = centre(gaze.size)
    with (
        Clip(results / "frames" / f"{video}.h5") as clip,
        Clip(results / "flow" / f"{video}.h5") as flow,
    ):
        places = np.searchsorted(clip.frames, frames).tolist()
        for frame, place, original in zip(frames, places, originals(arguments, params, frames), strict=True):
            bgr, field = clip.bgr(place), flow.flow(place).astype(np.float32)
            picture = resize(original, size)
            points = gaze.points.get(frame, np.empty((0, 2)))
            seen = density(points, gaze.size, sigma) if len(points) else np.zeros(gaze.size[::-1])
            maps = [net(bgr[None], field[None])[0] for net in nets.values()]
            yield panels.mosaic(
                [
                    picture,
                    panels.motion(field, bound, size),
                    panels.gaze(picture, seen, points),
                    *(panels.heat(picture, saliency) for saliency in [*maps, floor]),
                ]
            )


def widest(nets: dict[str, Predictor]) -> float:
    """Return the largest bound of motion of the nets that see motion."""
    return max((net.bound for net in nets.values() if "flow" in net.inputs), default=1.0)


def describe(
    arguments: argparse.Namespace,
    frames: list[int],
    scores: dict[str, "pd.Series[float]"],
    nets: dict[str, Predictor],
) -> Showing:
    """Return what the page says about the video."""
    gaze = read_gaze(arguments.results / "gaze" / f"{arguments.video}.parquet")
    with Clip(arguments.results / "frames" / f"{arguments.video}.h5") as clip:
        fps = 1 / float(np.median(np.diff(clip.times)))
    shown = [
        Panel("input", "Input", "input"),
        Panel("motion", "Optical flow", "motion"),
        Panel("gaze", "Gaze (truth)", "gaze"),
        *(Panel(name, label(name), "net") for name in nets),
        *(Panel(name, label(name), "ceiling" if name == CEILING else "floor") for name in arguments.beside),
    ]
    return Showing(
        video=arguments.video,
        dataset=arguments.dataset,
        fps=round(fps, 4),
        frames=frames,
        of=len(scores[FLOOR]),
        working=gaze.size,
        panel=panels.panel_size(gaze.source_size),
        columns=panels.columns(len([panel for panel in shown if panel.role != "ceiling"])),
        bound=widest(nets),
        seed=arguments.seed,
        panels=shown,
        curves={name: curve(table, frames) for name, table in scores.items()},
        means={name: mean(table) for name, table in scores.items()},
    )


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    cv2.setNumThreads(1)
    limit_threads(arguments.threads)
    params = script.read_params(arguments)
    scores = load_scores(arguments)
    scored = scores[FLOOR].index
    frames = [int(scored[place]) for place in panels.middle(len(scored))]
    models = arguments.results / "models"
    nets = {
        name: Predictor(
            *load_model(models / name / f"seed{arguments.seed}" / "model.safetensors"), pick_device()
        )
        for name in arguments.models
    }
    facts = describe(arguments, frames, scores, nets)
    joined = list(mosaics(arguments, params, frames, nets))
    crf = panels.encode_within(arguments.out, joined, facts.fps, VIDEO_LIMIT)
    write_text(arguments.facts, facts.to_json())
    script.log.info(
        "%s: %d frames of %d panels, CRF %d", arguments.video, len(frames), len(facts.panels), crf
    )


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument("--video", required=True, help="the test video")
    parser.add_argument("--models", nargs="+", required=True, help="names of the nets, in order")
    parser.add_argument(
        "--beside", nargs="+", choices=[FLOOR, CEILING], default=[FLOOR], help="what else has a curve"
    )
    parser.add_argument("--seed", type=int, default=0, help="whose weights are shown")
    parser.add_argument("--dataset", required=True, help="name of the data set, for people")
    parser.add_argument("--raw", type=Path, required=True, help="folder of the downloaded data set")
    parser.add_argument("--results", type=Path, required=True, help="results/{ds}")
    parser.add_argument("--threads", type=int, default=8, help="at most; never more than the CPUs at hand")
    parser.add_argument("--out", type=Path, required=True, help="mp4 to write")
    parser.add_argument("--facts", type=Path, required=True, help="JSON to write")
    script.run(main, parser.parse_args())
