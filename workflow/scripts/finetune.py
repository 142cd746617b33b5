"""Fine-tune one net of Table 3 on still images, with one seed; killed at any moment, the same command goes on.

A net that is not to be trained is copied as it starts, with what it is for in its metadata.
"""

import argparse
import logging
from pathlib import Path

from dynsal import script
from dynsal.config_transfer import StillModelConfig
from dynsal.device import limit_threads, pick_device
from dynsal.errors import DataError
from dynsal.fileio import sha256
from dynsal.losses import saliency_objective
from dynsal.nets import REGISTRY, build
from dynsal.nets.weights import describe_initial
from dynsal.samples import ClipSamples, still_sources
from dynsal.teams import share_out
from dynsal.training_run import Places, Run, as_json, carry_out

log = logging.getLogger("dynsal")


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    share_out(arguments.processes)
    params = script.read_params(arguments)
    model = StillModelConfig.model_validate_json(arguments.model)
    if (model.start is None) != (arguments.init is None):
        raise DataError(
            "--init", f"{arguments.name} starts from {model.start}", "Give --init with its weights"
        )
    threads = limit_threads(arguments.threads // max(1, arguments.processes))
    inputs = REGISTRY[model.arch].inputs
    moving = "flow" in inputs and model.motion == "predicted"
    files = still_sources(arguments.results, arguments.shards, moving)
    training = ClipSamples(files, params.gaze, inputs)
    checks = None
    if arguments.validation and params.train.validation_frames:
        held_out = still_sources(arguments.results, arguments.validation, moving)
        checks = ClipSamples(held_out, params.gaze, inputs).evenly_spaced(params.train.validation_frames)
    log.info(
        "%s, seed %d: %d images (%d without a fixation left out), %s, %d threads",
        arguments.name,
        arguments.seed,
        len(training),
        training.without_fixation,
        pick_device(),
        threads,
    )
    start_from = params.net.model_copy(update={"init": str(arguments.init or "he")})
    config = params.train if model.finetune else params.train.model_copy(update={"max_iters": 0})
    run = Run(
        net=build(model.arch, start_from, arguments.seed),
        objective=saliency_objective(params.train, params.net, params.flow),
        config=config,
        seed=arguments.seed,
        meta={
            "name": arguments.name,
            "arch": model.arch,
            "seed": arguments.seed,
            "net": params.net.model_dump(mode="json"),
            "initial_weights": describe_initial(arguments.init),
            "start": model.start,
            "motion": model.motion,
            "flow": params.flow.model_dump(mode="json"),
            "prepare": params.prepare.model_dump(mode="json"),
            "size": list(params.prepare.size),
            "trained_on": arguments.shards if model.finetune else [],
        },
        facts={
            "params": {
                name: getattr(params, name).model_dump(mode="json")
                for name in ("gaze", "flow", "net", "train")
            },
            "model": model.model_dump(mode="json"),
            "init": None if arguments.init is None else sha256(arguments.init),
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
            "images": len(training),
            "images_without_fixation": training.without_fixation,
            "params": as_json(arguments.params),
        },
    )


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument("--name", required=True, help="name of the row in the configuration")
    parser.add_argument(
        "--model", required=True, help='its entry as JSON, such as {"arch": "early", "start": "early_aug"}'
    )
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--results", type=Path, required=True, help="results/{ds} of the still images")
    parser.add_argument("--shards", nargs="+", required=True, help="training shards")
    parser.add_argument("--validation", nargs="*", default=[], help="validation shards")
    parser.add_argument("--init", nargs="?", type=Path, help="file of the weights to start from, if any")
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
