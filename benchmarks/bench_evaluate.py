"""Share of an evaluation's time that is spent in the net, and where the rest goes.

The same functions as workflow/scripts/evaluate.py: gaze and pools, clip reading, ``Predictor.predict_stream``,
``score_video``, parquet. Loading the libraries and the model is left out. Without --model a fresh net is used, whose
speed is that of a trained one.

With --processes N instead: workflow/scripts/evaluate.py as one process with N threads, and as N processes with one thread
each that share the videos (the limit here is what the first takes; start-up is counted).

The clips and gaze of the test videos must be there (``snakemake flows data``):
python benchmarks/bench_evaluate.py --results results/demo --config config/config.yaml --arch early late
python benchmarks/bench_evaluate.py --results results/hevc33 --config config/hevc33.yaml --videos BQMall BlowingBubbles Couple SlideShow \
    --processes 2 --repeats 3
"""

from __future__ import annotations

import argparse
import importlib
import shutil
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from _common import SCRIPTS, Timed, at_least, begin, interleaved, measured, median_ratio, parser, show

from dynsal.config import Config, NetConfig, load, stage_json
from dynsal.device import limit_threads, pick_device, usable_cpus
from dynsal.evaluation_run import read_inputs
from dynsal.inference import Predictor
from dynsal.nets import REGISTRY, build
from dynsal.references import load_references
from dynsal.training import load_model, save_model
from dynsal.workflow import Plan

TARGET = 0.9

evaluation: Any = importlib.import_module("dynsal.evaluation")
"""The module, whose functions are exchanged for timed ones."""


class Clock:
    """Seconds by name, and functions that add to them."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function, adding its time to a name."""

        def wrapped(*arguments: Any, **options: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                self.seconds[name] += time.perf_counter() - start

        return wrapped


class TimedPredictor(Predictor):
    """Adds up the time inside the call."""

    clock: Clock

    def __call__(self, *arguments: Any) -> Any:
        """Return the maps."""
        return self.clock.timed("net", super().__call__)(*arguments)


def evaluate(
    options: argparse.Namespace,
    config: Config,
    videos: list[str],
    predictor: TimedPredictor,
) -> tuple[dict[str, float], int]:
    """Evaluate once; return the seconds by part, "all" included, and the number of frames."""
    clock = predictor.clock = Clock()
    density, score_map = evaluation.density, evaluation.score_map
    evaluation.density = clock.timed("density of the gaze", density)
    evaluation.score_map = clock.timed("metrics", score_map)
    frames, start = 0, time.perf_counter()
    try:
        with tempfile.TemporaryDirectory() as folder:
            references = clock.timed("gaze and pools", load_references)(
                options.results, videos, config.gaze, config.evaluate
            )
            for video, reference in references.items():
                items = Timed(read_inputs(options.results, reference, predictor.inputs))
                batches = options.batch_size or config.evaluate.batch_size
                table = evaluation.score_video(reference, predictor.predict_stream(items, batches))
                clock.seconds["reading clips"] += items.seconds
                clock.timed("writing scores", table.to_parquet)(
                    Path(folder) / f"{video}.parquet", index=False
                )
                frames += len(table)
        seconds = dict(clock.seconds)
        total = time.perf_counter() - start
    finally:
        evaluation.density, evaluation.score_map = density, score_map
    return {**seconds, "everything else": total - sum(seconds.values()), "all": total}, frames


def compare_processes(
    options: argparse.Namespace, config: Config, net_config: NetConfig, videos: list[str]
) -> None:
    """Print one row per net: several threads in one process against several processes of one thread."""
    count, name = options.processes, "bench_processes"
    for arch in options.arch:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            meta = {
                "name": arch, "arch": arch, "net": net_config.model_dump(mode="json"),
                "flow": config.flow.model_dump(mode="json"), "size": list(config.prepare.size),
            }  # fmt: skip
            save_model(folder / "model.safetensors", build(arch, net_config), meta)
            words: list[str | Path] = [
                sys.executable, SCRIPTS / "evaluate.py", "--name", name, "--seed", "0", "--results", options.results.resolve(),
                "--model", folder / "model.safetensors", "--params", stage_json(config, "gaze", "evaluate"),
                "--threads", str(count), "--videos", *videos,
            ]  # fmt: skip
            turns = {
                which: partial(measured, [*words, "--processes", str(processes)], folder)
                for which, processes in (("threads", 1), ("processes", count))
            }
            times = interleaved(turns, options.repeats, warm_up=False)
        threads, processes = (statistics.median(times[which]) for which in ("threads", "processes"))
        show(f"{arch}, {count} processes", f"{processes:.1f} s", f"{threads:.1f} s",
             median_ratio(times["threads"], times["processes"]))  # fmt: skip
    shutil.rmtree(options.results / "scores" / name)


def report(name: str, turns: list[dict[str, float]], frames: int) -> None:
    """Print one net's rows."""
    share = statistics.median(turn["net"] / turn["all"] for turn in turns)
    total = statistics.median(turn["all"] for turn in turns)
    net = statistics.median(turn["net"] for turn in turns)
    show(f"{name}, share in the net", f"{1e3 * total / frames:.3f} ms", f"{1e3 * net / frames:.3f} ms", share,
         at_least(share, TARGET))  # fmt: skip
    for part in turns[0]:
        if part not in ("net", "all"):
            seconds = statistics.median(turn[part] for turn in turns)
            show(f"  {part}", f"{1e3 * seconds / frames:.3f} ms", "", seconds / total, "(share of all)")


def main() -> None:
    """Measure and print."""
    options_parser = parser(__doc__, repeats=3)
    options_parser.add_argument("--results", type=Path, default=Path("results/demo"))
    options_parser.add_argument("--config", type=Path, default=Path("config/config.yaml"))
    options_parser.add_argument("--arch", nargs="+", default=["early"], choices=list(REGISTRY))
    options_parser.add_argument("--model", type=Path, help="a model.safetensors, instead of --arch")
    options_parser.add_argument("--width", type=float, help="of the nets (default: the configuration's)")
    options_parser.add_argument("--videos", nargs="+", help="default: the configuration's test videos")
    options_parser.add_argument("--batch-size", type=int, help="default: the configuration's")
    options_parser.add_argument("--threads", type=int, default=usable_cpus())
    options_parser.add_argument("--processes", type=int, help="compare so many with as many threads")
    options = options_parser.parse_args()
    threads = limit_threads(options.threads)
    config = load(options.config)
    net_config = (
        config.net if options.width is None else config.net.model_copy(update={"width": options.width})
    )
    videos = options.videos or Plan(config).test
    if options.processes:
        begin(f"evaluation of {len(videos)} videos of {options.results}, width {net_config.width}; wall time")
        compare_processes(options, config, net_config, videos)
        return
    predictors = {}
    if options.model:
        net, meta = load_model(options.model)
        predictors[str(options.model.parent.parent.name)] = TimedPredictor(net, meta, pick_device())
    else:
        for arch in options.arch:
            meta = {"arch": arch, "net": net_config.model_dump(), "flow": config.flow.model_dump()}
            predictors[arch] = TimedPredictor(build(arch, net_config), meta, pick_device())
    begin(
        f"evaluation of {len(videos)} videos of {options.results}, width {net_config.width}, {pick_device()}, "
        f"{threads} thread(s); time per frame, limit: the net alone"
    )
    turns: dict[str, list[dict[str, float]]] = {name: [] for name in predictors}
    frames = 0
    for repeat in range(options.repeats + 1):
        for name, predictor in predictors.items():
            seconds, frames = evaluate(options, config, videos, predictor)
            if repeat:  # the first warms up
                turns[name].append(seconds)
    for name, seconds_by_turn in turns.items():
        report(name, seconds_by_turn, frames)


if __name__ == "__main__":
    main()
