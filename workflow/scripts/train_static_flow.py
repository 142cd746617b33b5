"""Train the net that predicts motion from a single image; killed at any moment, the same command goes on.

With --caffemodel the authors' published weights are taken over instead.
"""

import argparse
from pathlib import Path

from dynsal import script
from dynsal.codebook import read_codebook
from dynsal.device import limit_threads, pick_device
from dynsal.errors import DataError
from dynsal.fileio import sha256
from dynsal.motion_features import FeatureSamples, HeadObjective, features_of
from dynsal.motion_samples import MotionSamples, Objective
from dynsal.nets.backbone import WEIGHTS_SHA256
from dynsal.nets.static_flow import Pretrained, build_static_flow
from dynsal.nets.walker_weights import load_walker
from dynsal.static_prediction import KIND
from dynsal.teams import share_out
from dynsal.training_run import Places, Run, as_json, carry_out


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    share_out(arguments.processes)
    config = script.read_params(arguments).static_flow
    if (config.weights == "walker") != (arguments.caffemodel is not None):
        raise DataError("--caffemodel", f"static_flow.weights is {config.weights}", "Give it for walker only")
    threads = limit_threads(arguments.threads // max(1, arguments.processes))
    codebook = read_codebook(arguments.codebook)
    net = build_static_flow(config, arguments.seed)
    optimiser = config.train
    if arguments.caffemodel:
        load_walker(net, arguments.caffemodel)
        optimiser = optimiser.model_copy(update={"max_iters": 0, "keep": "last"})
    training: FeatureSamples | MotionSamples
    checks: FeatureSamples | MotionSamples | None
    objective: HeadObjective | Objective
    if isinstance(net, Pretrained):
        device = pick_device()
        training, checks = (
            FeatureSamples((features_of(path, net, device) for path in files), mirrored=mirrored)
            for files, mirrored in ((arguments.motion, True), (arguments.validation, False))
        )
        objective = HeadObjective(codebook)
    else:
        training, checks = MotionSamples(arguments.motion), MotionSamples(arguments.validation)
        objective = Objective(codebook, config.colour)
    script.log.info("%d frames, %s, %d threads", len(training), pick_device(), threads)
    weights = {"weights": config.weights}
    if isinstance(net, Pretrained):
        weights["backbone_sha256"] = WEIGHTS_SHA256
    if arguments.caffemodel:
        weights["sha256"] = sha256(arguments.caffemodel)
    run = Run(
        net=net,
        objective=objective,
        config=optimiser,
        seed=arguments.seed,
        meta={
            "arch": KIND,
            "net": config.model_dump(mode="json"),
            "seed": arguments.seed,
            "codebook": codebook.tolist(),
            "origin": weights,
            "trained_on": [] if arguments.caffemodel else [path.stem for path in arguments.motion],
        },
        facts={"params": config.model_dump(mode="json"), "codebook": codebook.tolist(), "origin": weights},
        script=Path(__file__),
        threads=threads,
    )
    places = Places(arguments.out, arguments.history, arguments.provenance, arguments.checkpoints)
    record = {"frames": len(training), "params": as_json(arguments.params)}
    carry_out(run, training, checks, places, [*arguments.motion, *arguments.validation], record)


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument("--motion", type=Path, nargs="*", default=[], help="motion clips to train on")
    parser.add_argument("--validation", type=Path, nargs="*", default=[], help="motion clips to validate on")
    parser.add_argument("--codebook", type=Path, required=True, help="codebook.npz")
    parser.add_argument("--caffemodel", type=Path, nargs="?", help="the authors' final.caffemodel")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument(
        "--checkpoints", type=Path, required=True, help="folder for checkpoints, not an output"
    )
    parser.add_argument("--threads", type=int, default=8, help="at most; never more than the CPUs at hand")
    parser.add_argument(
        "--processes", type=int, default=1, help="that share the training, one per GPU; 0 is 1"
    )
    parser.add_argument("--out", type=Path, required=True, help="model.safetensors")
    parser.add_argument("--history", type=Path, required=True, help="history.csv")
    parser.add_argument("--provenance", type=Path, required=True, help="provenance.json")
    script.run(main, parser.parse_args())
