"""Draw sAUC over the frames of the best, the median and the worst test video by the last model's mean."""

import argparse
import json
from pathlib import Path

from dynsal import script
from dynsal.figures import label, save
from dynsal.figures.choice import EXTREMES, by_mean, choose
from dynsal.figures.series import over_time
from dynsal.figures.style import short_name
from dynsal.tables import load_scores

WINDOW = 15
"""Frames of the running mean: half a second of most videos."""


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    results, runs = arguments.results, json.loads(arguments.runs)
    table = load_scores(results, runs, arguments.videos)
    last = table[(table["model"] == arguments.ranked_by) & (table["seed"] == runs[arguments.ranked_by][0])]
    videos = by_mean(last)
    ranks = choose([-place for place in range(len(videos))], EXTREMES)
    means = table.groupby(["video", "model", "frame"], sort=False, as_index=False)["sauc"].mean()
    scores = {
        f"{rank}: {short_name(videos[place])}": means[means["video"] == videos[place]]
        for place, rank in ranks.items()
    }
    note = (
        f"Of {len(videos)} test videos the best, the median and the worst by the mean sAUC of {label(arguments.ranked_by)}; running mean over "
        f"{WINDOW} scored frames, and over seeds; frames without fixations are left out."
    )
    save(over_time(scores, WINDOW, note), arguments.out)


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument("--results", type=Path, required=True, help="results/{ds}")
    parser.add_argument("--videos", nargs="+", required=True, help="test videos")
    parser.add_argument("--runs", required=True, help="JSON: model -> its seeds, in the order of the legend")
    parser.add_argument("--ranked-by", required=True, help="model whose scores choose the videos")
    parser.add_argument(
        "--out", type=Path, nargs="+", required=True, help="pictures; the suffix gives the format"
    )
    script.run(main, parser.parse_args())
