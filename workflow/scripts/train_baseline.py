"""Train a baseline that learns from gaze on the pairs of all training videos."""

import argparse
from pathlib import Path

from dynsal import script
from dynsal.baselines.rudoy.forest import save_model
from dynsal.baselines.rudoy.training import load_pairs, train
from dynsal.config_baselines import RudoyOptions


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    options = RudoyOptions.model_validate_json(arguments.options)
    pairs = [load_pairs(path) for path in arguments.pairs]
    meta = {"trained_on": arguments.videos, "dataset": arguments.dataset}
    model = train(pairs, options, meta, arguments.threads)
    save_model(arguments.out, model)
    script.log.info("%s: trained on %d videos", arguments.out, len(pairs))


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument("--options", required=True, help='the entry as JSON: {"model": "rudoy"}')
    parser.add_argument("--pairs", type=Path, nargs="+", required=True, help="one file per training video")
    parser.add_argument("--videos", nargs="+", required=True, help="their names, for the record")
    parser.add_argument("--dataset", required=True, help="name of the data set, for the record")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="model.safetensors")
    script.run(main, parser.parse_args())
