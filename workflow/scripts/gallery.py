"""Draw one frame of every test video: input, flow, gaze, and the maps of the net and of every baseline with their scores.

The frame is the middle one of those scored that have a fixation. Nothing is chosen by hand.
"""

import argparse
from pathlib import Path

import pandas as pd

from dynsal import script
from dynsal.evaluation import resize_map
from dynsal.examples import short_name, view
from dynsal.figures import Example, overview, save
from dynsal.inference import Predictor
from dynsal.maps import MapFile
from dynsal.references import map_path, score_path
from dynsal.training import load_model


def score_at(results: Path, model: str, seed: int, video: str, frame: int) -> float:
    """Return a model's sAUC of one frame."""
    table = pd.read_parquet(score_path(results, model, seed, video)).set_index("frame")
    return float(table["sauc"].loc[frame])


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    params = script.read_params(arguments)
    results, seed, net = arguments.results, arguments.seed, arguments.net
    predictor = Predictor(*load_model(results / "models" / net / f"seed{seed}" / "model.safetensors"))
    examples = []
    for video in arguments.videos:
        stored = {name: MapFile(map_path(results, name, video)) for name in arguments.baselines}
        frame = int(stored[arguments.baselines[0]].frames[0])
        seen = view(results, video, frame, params.gaze)
        height, width = seen.bgr.shape[:2]
        maps = {net: predictor(seen.bgr[None], seen.flow[None])[0]}
        maps |= {name: resize_map(file[0], (width, height)) for name, file in stored.items()}
        scores = {name: score_at(results, name, seed if name == net else 0, video, frame) for name in maps}
        title = f"{short_name(video)}\nframe {frame}"
        examples.append(Example(title, *seen, maps=maps, scores=scores))
    save(overview(examples, predictor.bound), arguments.out)


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument("--results", type=Path, required=True, help="results/{ds}")
    parser.add_argument("--videos", nargs="+", required=True, help="test videos")
    parser.add_argument("--net", required=True, help="name of the net's row")
    parser.add_argument("--baselines", nargs="+", required=True, help="columns, in order")
    parser.add_argument("--seed", type=int, default=0, help="whose weights are shown")
    parser.add_argument(
        "--out", type=Path, nargs="+", required=True, help="pictures; the suffix gives the format"
    )
    script.run(main, parser.parse_args())
