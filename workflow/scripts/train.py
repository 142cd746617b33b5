"""Train one net with one seed; killed at any moment, the same command goes on where it stopped."""

import argparse
import logging
from pathlib import Path

from dynsal import script
from dynsal.config import ModelConfig
from dynsal.device import limit_threads, pick_device
from dynsal.errors import DataError
from dynsal.fileio import sha256
from dynsal.layout import initial_weights
from dynsal.losses import saliency_objective
from dynsal.nets import REGISTRY, build
from dynsal.nets.weights import describe_initial
from dynsal.samples import ClipSamples, sources
from dynsal.teams import share_out
from dynsal.training_run import Places, Run, as_json, carry_out

log = logging.getLogger("dynsal")


def initial_file(init: str, given: Path | None) -> Path | None:
    """Return the file of initial weights, which must be given where, and only where, ``net.init`` names one."""
    expected = initial_weights(init)
    if (expected is None) != (given is None):
        raise DataError(
            "--init",
            f"net.init is {init}, and {'no file' if given is None else given} is given",
            "Leave --init out or set net.init" if expected is None else f"Give --init {expected}",
        )
    return given


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    share_out(arguments.processes)
    params = script.read_params(arguments)
    model = ModelConfig.model_validate_json(arguments.model)
    threads = limit_threads(arguments.threads // max(1, arguments.processes))
    initial = initial_file(params.net.init, arguments.init)
    inputs = REGISTRY[model.arch].inputs
    files = sources(arguments.results, arguments.videos, model.augment)
    training = ClipSamples(files, params.gaze, inputs)
    checks = None
    if arguments.validation and params.train.validation_frames:
        held_out = ClipSamples(sources(arguments.results, arguments.validation, [1]), params.gaze, inputs)
        checks = held_out.evenly_spaced(params.train.validation_frames)
    log.info(
        "%s, seed %d: %d frames (%d without a fixation left out), %s, %d threads",
        arguments.name,
        arguments.seed,
        len(training),
        training.without_fixation,
        pick_device(),
        threads,
    )
    start_from = params.net.model_copy(update={"init": "he" if initial is None else str(initial)})
    run = Run(
        net=build(model.arch, start_from, arguments.seed),
        objective=saliency_objective(params.train, params.net, params.flow),
        config=params.train,
        seed=arguments.seed,
        meta={
            "name": arguments.name,
            "arch": model.arch,
            "seed": arguments.seed,
            "net": params.net.model_dump(mode="json"),
            "initial_weights": describe_initial(initial),
            "flow": params.flow.model_dump(mode="json"),
            "prepare": params.prepare.model_dump(mode="json"),
            "size": list(params.prepare.size),
            "memory": model.memory,
            "trained_on": arguments.videos,
        },
        facts={
            "params": {
                name: getattr(params, name).model_dump(mode="json")
                for name in ("gaze", "flow", "net", "train")
            },
            "model": model.model_dump(mode="json"),
            "init": None if initial is None else sha256(initial),
        },
        script=Path(__file__),
        threads=threads,
    )
    carry_out(
        run,
        training,
        checks,
        Places(arguments.out, arguments.history, arguments.provenance, arguments.checkpoints),
        [path for source in files for path in source.files()],
        {
            "frames": len(training),
            "frames_without_fixation": training.without_fixation,
            "params": as_json(arguments.params),
        },
    )


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument("--name", required=True, help="name of the model in the configuration")
    parser.add_argument(
        "--model", required=True, help='its entry as JSON, such as {"arch": "early", "augment": [1]}'
    )
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument(
        "--results", type=Path, required=True, help="results/{ds}, with frames, flow and gaze"
    )
    parser.add_argument("--videos", nargs="+", required=True, help="training videos")
    parser.add_argument("--validation", nargs="*", default=[], help="validation videos")
    parser.add_argument("--init", nargs="?", type=Path, help="file of initial weights, unless net.init is he")
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
