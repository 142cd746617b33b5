"""Speed of training through the real loop and loader, against the limit: batches that already lie on the device.

python benchmarks/bench_training.py --arch early --width 0.25 --size 160 120 --workers 0 1
A further source of samples (clip files, say) is one more function that returns an object with ``groups``.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import torch

from dynsal.batches import Samples
from dynsal.config import FlowConfig, NetConfig, TrainConfig
from dynsal.device import limit_threads, pick_device
from dynsal.losses import loss_function
from dynsal.nets import REGISTRY, build
from dynsal.nets.coding import apply
from dynsal.schedule import make_optimizer
from dynsal.training import Job, train


class InMemory:
    """Random samples of one resolution, made beforehand."""

    def __init__(self, count: int, width: int, height: int) -> None:
        generator = torch.Generator().manual_seed(0)
        self._frames = torch.randint(
            0, 256, (count, 3, height, width), dtype=torch.uint8, generator=generator
        )
        self._flow = torch.randn(count, 2, height, width, generator=generator).half()
        density = torch.rand(count, 1, height, width, generator=generator)
        self._density = density / density.sum((2, 3), keepdim=True)
        self._fixations = (torch.rand(count, 1, height, width, generator=generator) > 0.999).to(torch.uint8)
        self.groups = [list(range(count))]

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {
            "frame": self._frames[index],
            "flow": self._flow[index],
            "density": self._density[index],
            "fixations": self._fixations[index],
        }


def sources(options: argparse.Namespace) -> dict[str, Samples]:
    """Return the data sets to train from, by the name to print."""
    return {"memory": InMemory(64, *options.size)}


def limit(options: argparse.Namespace, config: TrainConfig) -> float:
    """Return steps per second of bare forward, backward and update on one batch that lies on the device."""
    device = pick_device()
    net_config = NetConfig(width=options.width)
    layout = torch.channels_last if config.channels_last else torch.contiguous_format
    net = build(options.arch, net_config).to(device=device, memory_format=layout)  # type: ignore[call-overload]
    samples = InMemory(options.batch_size, *options.size)
    items = [samples[index] for index in range(options.batch_size)]
    batch = {name: torch.stack([item[name] for item in items]).to(device) for name in items[0]}
    optimizer, loss = make_optimizer(net.parameters(), config), loss_function(config, net_config)
    start = 0.0
    for step in range(options.steps + 1):
        if step == 1:
            start = time.perf_counter()  # the first step warms up
        optimizer.zero_grad()
        with torch.autocast("cuda", torch.bfloat16, enabled=config.amp and device.type == "cuda"):
            output = apply(net, batch, 20.0, config.channels_last)
        loss(output, batch).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize()
    return float(options.steps / (time.perf_counter() - start))


def through_the_loop(
    options: argparse.Namespace, config: TrainConfig, samples: Samples, workers: int
) -> tuple[float, float]:
    """Return steps per second of the real training, and the fraction of its time spent waiting for samples."""
    with tempfile.TemporaryDirectory() as folder:
        net_config = NetConfig(width=options.width)
        job = Job(config, net_config, FlowConfig(), 0, Path(folder) / "c", "bench", pick_device(), workers)
        history = train(build(options.arch, net_config), samples, job).history[1:]  # without the first step
    seconds = sum(float(row["seconds"] or 0) for row in history)
    wait = sum(float(row["wait_seconds"] or 0) for row in history)
    return len(history) / seconds, wait / seconds


def main() -> None:
    """Print steps per second and the ratio to the limit."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--arch", default="early", choices=list(REGISTRY))
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--size", type=int, nargs=2, default=(160, 120), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--steps", type=int, default=20, help="at most 200, so that every step has its row")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--amp", action="store_true", help="bfloat16, on a GPU only")
    options = parser.parse_args()
    threads = limit_threads(options.threads)
    config = TrainConfig(
        batch_size=options.batch_size,
        max_iters=options.steps + 1,
        base_lr=1e-9,
        checkpoint_every=10_000,
        amp=options.amp,
    )
    print(
        f"{options.arch}, width {options.width}, {options.size}, batch {options.batch_size}, {threads} thread(s)"
    )
    best = limit(options, config)
    print(f"limit: {best:.2f} steps/s")
    for name, samples in sources(options).items():
        for workers in options.workers:
            rate, wait = through_the_loop(options, config, samples, workers)
            print(
                f"{name}, {workers} worker(s): {rate:.2f} steps/s = {rate / best:.2f} of it, {wait:.1%} waiting"
            )


if __name__ == "__main__":
    main()
