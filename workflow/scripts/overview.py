"""Draw one frame of several test videos: input, flow, gaze, and the map of every net with its score.

The videos are the worst, the median and the best by the last model's mean sAUC; the frame of each is the one whose
sAUC is that video's median. Nothing is chosen by hand.
"""

import argparse
from pathlib import Path

import pandas as pd

from dynsal import script
from dynsal.examples import short_name, view
from dynsal.figures import Example, overview, save
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
        seen = view(results, video, frame, params.gaze)
        maps = {name: net(seen.bgr[None], seen.flow[None])[0] for name, net in predictors.items()}
        shown = {name: float(scores[name, video].loc[frame]) for name in predictors}
        title = f"{rank}: {short_name(video)}\nframe {frame}"
        examples.append(Example(title, *seen, maps=maps, scores=shown))
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
