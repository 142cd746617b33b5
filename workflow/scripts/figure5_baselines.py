"""Draw frames of test videos with the maps of the last net and of every baseline below them.

Of every test video the middle one of the scored frames that have a fixation is kept, before any score is known. Of
these frames, those at the ends, the quartiles and the median by the net's sAUC are shown. Nothing is chosen by hand.
"""

import argparse
from pathlib import Path

import pandas as pd

from dynsal import script
from dynsal.evaluation import resize_map
from dynsal.examples import view
from dynsal.figures import label, save
from dynsal.figures.choice import choose
from dynsal.figures.grids import FRAME, TRUTH, Example, compared
from dynsal.figures.style import short_name
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
    frames = {
        video: int(MapFile(map_path(results, arguments.baselines[0], video)).frames[0])
        for video in arguments.videos
    }
    own = [score_at(results, net, seed, video, frame) for video, frame in frames.items()]
    examples = []
    for position, rank in choose(own).items():
        video = arguments.videos[position]
        seen = view(results, video, frames[video], params.gaze)
        height, width = seen.bgr.shape[:2]
        maps = {net: predictor(seen.bgr[None], seen.flow[None])[0]}
        scores = {net: own[position]}
        for name in arguments.baselines:
            maps[name] = resize_map(MapFile(map_path(results, name, video))[0], (width, height))
            scores[name] = score_at(results, name, 0, video, frames[video])
        title = f"{rank}:\n{short_name(video)}\nframe {frames[video]}"
        examples.append(Example(title, *seen, maps=maps, scores=scores))
    rule = (
        f"Frames: the middle scored frame of each of {len(frames)} test videos; of these, by the sAUC of {label(net)}, the "
        "best, the quartiles, the median and the worst."
    )
    save(compared(examples, [FRAME, TRUTH, net, *arguments.baselines], rule, down=True), arguments.out)
    script.log.info("%s", "; ".join(example.title.replace("\n", " ") for example in examples))


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument("--results", type=Path, required=True, help="results/{ds}")
    parser.add_argument("--videos", nargs="+", required=True, help="test videos")
    parser.add_argument("--net", required=True, help="name of the net's row")
    parser.add_argument("--baselines", nargs="+", required=True, help="rows, in order")
    parser.add_argument("--seed", type=int, default=0, help="whose weights are shown")
    parser.add_argument(
        "--out", type=Path, nargs="+", required=True, help="pictures; the suffix gives the format"
    )
    script.run(main, parser.parse_args())
