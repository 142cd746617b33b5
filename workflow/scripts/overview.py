"""Draw one frame of several test videos: input, flow, gaze, and the map of every net with its score.

The videos are the worst, the median and the best by the last model's mean sAUC; the frame of each is the one whose
sAUC is that video's median. Nothing is chosen by hand.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from dynsal import script
from dynsal.clips import Clip
from dynsal.figures import Example, overview, save
from dynsal.gaze import density, read_gaze
from dynsal.inference import Predictor
from dynsal.references import score_path
from dynsal.training import load_model


def middle(scores: pd.Series) -> int:
    """Return the label of the median entry (the lower one of two), ignoring NaN."""
    ordered = scores.dropna().sort_values(kind="stable")
    return int(ordered.index[(len(ordered) - 1) // 2])


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    params = script.read_params(arguments)
    results, seed = arguments.results, arguments.seed
    scores = {
        (model, video): pd.read_parquet(score_path(results, model, seed, video)).set_index("frame")["sauc"]
        for model in arguments.models
        for video in arguments.videos
    }
    last = arguments.models[-1]
    ranked = sorted(arguments.videos, key=lambda video: float(scores[last, video].mean()))
    chosen = {"worst": ranked[0], "median": ranked[(len(ranked) - 1) // 2], "best": ranked[-1]}
    predictors = {
        model: Predictor(*load_model(results / "models" / model / f"seed{seed}" / "model.safetensors"))
        for model in arguments.models
    }
    bound = max(predictor.bound for predictor in predictors.values())
    examples = []
    for rank, video in chosen.items():
        frame = middle(scores[last, video])
        gaze = read_gaze(results / "gaze" / f"{video}.parquet")
        with (
            Clip(results / "frames" / f"{video}.h5") as frames,
            Clip(results / "flow" / f"{video}.h5") as flow,
        ):
            position = int(np.searchsorted(frames.frames, frame))
            image, field = frames.bgr(position), flow.flow(position).astype(np.float32)
        sigma = gaze.sigma(params.gaze.sigma_deg, params.gaze.px_per_deg)
        examples.append(
            Example(
                title=f"{rank}: {video.rsplit('_', 1)[0] if '_' in video else video}\nframe {frame}",
                bgr=image,
                flow=field,
                points=gaze.points[frame],
                truth=density(gaze.points[frame], gaze.size, sigma),
                maps={name: predictor(image[None], field[None])[0] for name, predictor in predictors.items()},
                scores={name: float(scores[name, video].loc[frame]) for name in predictors},
            )
        )
    save(overview(examples, bound), arguments.out)


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument("--results", type=Path, required=True, help="results/{ds}")
    parser.add_argument("--videos", nargs="+", required=True, help="test videos")
    parser.add_argument("--models", nargs="+", required=True, help="columns, in order")
    parser.add_argument("--seed", type=int, default=0, help="whose weights are shown")
    parser.add_argument(
        "--out", type=Path, nargs="+", required=True, help="pictures; the suffix gives the format"
    )
    script.run(main, parser.parse_args())
