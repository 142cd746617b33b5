"""Draw frames of test videos: input, flow, where people looked, and the map of every net with its score.

Of all frames of the test videos with at least the median number of fixations of their video, they are the best, the
median and the worst by the last net's sAUC. Nothing is chosen by hand.
"""

import argparse
from pathlib import Path

from dynsal import script
from dynsal.examples import view
from dynsal.figures import label, save
from dynsal.figures.choice import EXTREMES, choose, well_seen
from dynsal.figures.grids import FLOW, FRAME, TRUTH, Example, compared
from dynsal.figures.style import short_name
from dynsal.inference import Predictor
from dynsal.tables import load_scores
from dynsal.training import load_model


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    params = script.read_params(arguments)
    results, seed, models = arguments.results, arguments.seed, arguments.models
    scores = {model: load_scores(results, {model: [seed]}, arguments.videos) for model in models}
    ranking = well_seen(scores[models[-1]])
    sauc = {model: table.set_index(["video", "frame"])["sauc"] for model, table in scores.items()}
    nets = {
        model: Predictor(*load_model(results / "models" / model / f"seed{seed}" / "model.safetensors"))
        for model in models
    }
    examples = []
    for row, rank in choose(ranking["sauc"], EXTREMES).items():
        video, frame = str(ranking["video"].iloc[row]), int(ranking["frame"].iloc[row])
        seen = view(results, video, frame, params.gaze)
        maps = {name: net(seen.bgr[None], seen.flow[None])[0] for name, net in nets.items()}
        shown = {name: float(sauc[name].loc[video, frame]) for name in nets}
        title = f"{rank}, frame {frame}:\n{short_name(video)}"
        examples.append(Example(title, *seen, maps=maps, scores=shown))
    rule = (
        f"Frames: best, median and worst by the sAUC of {label(models[-1])}, of the {len(ranking)} test frames with at "
        "least the median number of fixations of their video."
    )
    save(compared(examples, [FRAME, FLOW, TRUTH, *models], rule), arguments.out)
    script.log.info("%s", "; ".join(example.title.replace("\n", " ") for example in examples))


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
