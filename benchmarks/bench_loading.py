"""Training from clip files, as the workflow does it, against the same steps on tensors that already lie in memory.

Work: ``dynsal.training.train`` with ``ClipSamples``, its loader, books and checkpoints' folder. Limit: bare forward,
backward and update on the very same batches in the same order, made and moved to the device beforehand. The first step
of each turn warms up and does not count. ``waiting`` is the history's wait_seconds over its seconds.

The clips must be there (``snakemake flows data``, and the low-resolution copies for models that train on them):
python benchmarks/bench_loading.py --results results/demo --config config/config.yaml --model early early_aug
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch
from _common import at_least, at_most, begin, parser, show
from torch import Tensor

from dynsal.batches import BatchOrder, StepSampler
from dynsal.config import Config, load
from dynsal.device import limit_threads, pick_device, usable_cpus
from dynsal.losses import loss_function, saliency_objective
from dynsal.nets import REGISTRY, build
from dynsal.nets.coding import apply
from dynsal.samples import ClipSamples, sources
from dynsal.schedule import make_optimizer
from dynsal.training import Job, train
from dynsal.workflow import Plan

TARGET = 0.95
TARGET_WAIT = 5.0
RATE = 1e-9
"""Learning rate: nothing may diverge while it is timed."""


def from_files(config: Config, name: str, samples: ClipSamples, workers: int) -> tuple[float, float, float]:
    """Return steps per second of the real training by its history, the share spent waiting, and by the clock."""
    arch = config.models[name].arch
    net = build(arch, config.net)
    with tempfile.TemporaryDirectory() as folder:
        objective = saliency_objective(config.train, config.net, config.flow)
        job = Job(config.train, objective, 0, Path(folder) / "c", "bench", pick_device(), workers)
        start = time.perf_counter()
        rows = train(net, samples, job).history
        wall = time.perf_counter() - start
    first = float(rows[0]["seconds"] or 0)
    seconds = sum(float(row["seconds"] or 0) for row in rows[1:])
    wait = sum(float(row["wait_seconds"] or 0) for row in rows[1:])
    return (len(rows) - 1) / seconds, wait / seconds, (len(rows) - 1) / (wall - first)


def from_memory(config: Config, name: str, batches: list[dict[str, Tensor]]) -> float:
    """Return steps per second of bare forward, backward and update."""
    arch, train_config, device = config.models[name].arch, config.train, pick_device()
    layout = torch.channels_last if train_config.channels_last else torch.contiguous_format
    net = build(arch, config.net).to(device=device, memory_format=layout)  # type: ignore[call-overload]
    net.train()
    optimizer = make_optimizer(net.parameters(), train_config)
    loss = loss_function(train_config, config.net)
    start = 0.0
    for step, batch in enumerate(batches):
        if step == 1:
            start = time.perf_counter()
        with torch.autocast("cuda", torch.bfloat16, enabled=train_config.amp and device.type == "cuda"):
            output = apply(net, batch, config.flow.bound, train_config.channels_last)
        value = loss(output, batch)
        optimizer.zero_grad(set_to_none=True)
        value.backward()  # type: ignore[no-untyped-call]
        if train_config.grad_clip is not None:
            torch.nn.utils.clip_grad_norm_(net.parameters(), train_config.grad_clip)
        optimizer.step()
        if step == 0 and device.type == "cuda":
            torch.cuda.synchronize()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return (len(batches) - 1) / (time.perf_counter() - start)


def collect(samples: ClipSamples, config: Config, steps: int) -> list[dict[str, Tensor]]:
    """Return the batches that training will see, on the device."""
    order = BatchOrder(samples.groups, config.train.batch_size, 0)
    batches = []
    for indices in StepSampler(order, 0, steps):
        items = [samples[index] for index in indices]
        batches.append(
            {key: torch.stack([item[key] for item in items]).to(pick_device()) for key in items[0]}
        )
    return batches


def compare(options: argparse.Namespace, config: Config, name: str, videos: list[str]) -> None:
    """Print the rows of one model."""
    model = config.models[name]
    files = sources(options.results, videos, model.augment)
    samples = ClipSamples(files, config.gaze, REGISTRY[model.arch].inputs)
    batches = collect(samples, config, config.train.max_iters)
    rates, waits, walls, limits = [], [], [], []
    for repeat in range(options.repeats):
        if repeat % 2:
            limits.append(from_memory(config, name, batches))
        rate, wait, wall = from_files(config, name, samples, options.workers)
        rates.append(rate)
        waits.append(100 * wait)
        walls.append(wall)
        if repeat % 2 == 0:
            limits.append(from_memory(config, name, batches))
    best = f"{statistics.median(limits):.2f} /s"
    for what, found in (("by its history", rates), ("with books and checkpoint", walls)):
        ratio = statistics.median(rate / limit for rate, limit in zip(found, limits, strict=True))
        show(f"{name}, {what}", f"{statistics.median(found):.2f} /s", best, ratio, at_least(ratio, TARGET))
    wait = statistics.median(waits)
    show(f"{name}, waiting for samples", f"{wait:.2f} %", "", None, at_most(wait, TARGET_WAIT, "%"))


def main() -> None:
    """Measure and print."""
    options_parser = parser(__doc__, repeats=5)
    options_parser.add_argument("--results", type=Path, default=Path("results/demo"))
    options_parser.add_argument("--config", type=Path, default=Path("config/config.yaml"))
    options_parser.add_argument("--model", nargs="+", default=["early"], help="models of the configuration")
    options_parser.add_argument("--videos", nargs="+", help="default: the configuration's training videos")
    options_parser.add_argument(
        "--steps", type=int, default=50, help="2 to 200, so that every step has its row (default 50)"
    )
    options_parser.add_argument("--threads", type=int, default=usable_cpus())
    options_parser.add_argument(
        "--workers", type=int, default=0 if pick_device().type == "cpu" else max(0, min(4, usable_cpus() - 1)),
        help="processes that load (default: as train.py chooses)",
    )  # fmt: skip
    options = options_parser.parse_args()
    if not 2 <= options.steps <= 200:
        options_parser.error("--steps must lie between 2 and 200")
    threads = limit_threads(options.threads)
    config = load(options.config)
    timed = config.train.model_copy(
        update={"max_iters": options.steps, "base_lr": RATE, "keep": "last", "validation_frames": 0}
    )
    config = config.model_copy(update={"train": timed})
    videos = options.videos or Plan(config).train
    begin(
        f"training on {len(videos)} videos of {options.results}, width {config.net.width}, batches of "
        f"{config.train.batch_size}, {pick_device()}, {threads} thread(s), {options.workers} worker(s); steps per second"
    )
    for name in options.model:
        compare(options, config, name, videos)


if __name__ == "__main__":
    main()
