"""Predict SALICON's validation and test images with one model, and pack the maps for the evaluation server.

The model is a baseline, or a trained net with, if it looks at flow, a net that predicts motion from a single image.
"""

import argparse
from functools import partial
from pathlib import Path

import cv2

from dynsal import baselines, script
from dynsal.submission import baseline_maps, net_maps, still_net, submit


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    cv2.setNumThreads(1)
    predictor = None
    if arguments.model:
        from dynsal.device import limit_threads  # of torch, which is missing where only baselines run

        limit_threads(arguments.threads)
        predictor, size, motion = still_net(arguments.model, arguments.motion_model)
        model = partial(net_maps, predictor, size=size, motion=motion)
    else:
        baseline = baselines.create(baselines.parse(arguments.options), baselines.by_name(arguments.files))
        model = partial(baseline_maps, baseline, size=arguments.size and tuple(arguments.size))
    clips = {"val": arguments.val, "test": arguments.test}
    blank = submit(arguments.out, arguments.name, model, clips)
    if predictor is not None:
        blank += predictor.blank_maps  # it made these uniform itself
    script.log.info("%s: %d blank maps sent as uniform", arguments.name, blank)


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument("--name", required=True, help="of the model, by which the server lists it")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--options", help='a baseline\'s options as JSON, such as {"model": "gbvs"}')
    source.add_argument("--model", type=Path, help="or a trained net (.safetensors)")
    parser.add_argument(
        "--motion-model", type=Path, nargs="?", help="static flow net, for a net that looks at flow"
    )
    parser.add_argument("--files", type=Path, nargs="*", default=[], help="files that the baseline needs")
    parser.add_argument("--size", type=int, nargs=2, help="of a baseline's images; else the clips'")
    parser.add_argument("--val", type=Path, nargs="+", required=True, help="clips of the validation shards")
    parser.add_argument("--test", type=Path, nargs="+", required=True, help="clips of the blind test shards")
    parser.add_argument("--threads", type=int, default=8, help="for a net: at most; never more than the CPUs")
    parser.add_argument("--out", type=Path, required=True, help="results.zip to write")
    script.run(main, parser.parse_args())
