"""Speed and memory of `dynsal predict` against the bare forward pass of its net.

The video is a demo scene of 640x480 (or --video); the net is early fusion with DIS flow and random weights (or --model).
Overlay and table are written. Frames per second of the command count from opening the video to the finished files.

python benchmarks/bench_predict.py --size 160 120 320 240
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from _common import (
    at_least,
    at_most,
    begin,
    environment,
    given_or_generated,
    measured,
    median_ratio,
    parser,
    show,
)

SLOWEST_FIRST, SLOWEST_HELP, LEAST_RATE, LEAST_RATIO, MOST_GROWTH = 5.0, 0.3, 12.0, 0.9, 1.05


def make_model(path: Path, size: tuple[int, int], width: float) -> None:
    """Write an untrained early fusion net with the metadata of a trained one."""
    from dynsal.config import FlowConfig, NetConfig, PrepareConfig
    from dynsal.nets import build
    from dynsal.nets.weights import save_model

    net = NetConfig(width=width, coding="log_density")
    meta = {
        "arch": "early",
        "net": net.model_dump(mode="json"),
        "flow": FlowConfig(estimator="dis", bound=2.0).model_dump(mode="json"),
        "prepare": PrepareConfig(size=size, fps_target=None).model_dump(mode="json"),
        "size": list(size),
    }
    save_model(path, build("early", net), meta)


def bare_forward(model: Path, threads: int, passes: int, batch: int, seconds: float) -> tuple[float, float]:
    """Return frames per second, and milliseconds of processor time per frame, of the net alone on frames in memory.

    Parameters
    ----------
    model
        The net.
    threads
        Threads of one forward pass.
    passes
        Forward passes beside each other.
    batch
        Frames per pass.
    seconds
        How long to measure.
    """
    import numpy as np
    import torch

    from dynsal.inference import Predictor
    from dynsal.nets.weights import load_model

    net, meta = load_model(model)
    predictor = Predictor(net, meta)
    rng = np.random.default_rng(0)
    width, height = meta["size"]
    frames = rng.integers(0, 255, (batch, height, width, 3), np.uint8)
    flow = rng.standard_normal((batch, height, width, 2)).astype(np.float32)

    def repeat(_: int) -> int:
        torch.set_num_threads(threads)
        predictor(frames, flow)
        barrier.wait()
        count, end = 0, time.perf_counter() + seconds
        while time.perf_counter() < end:
            predictor(frames, flow)
            count += batch
        return count

    barrier = threading.Barrier(passes + 1)
    with ThreadPoolExecutor(passes) as pool:
        found = pool.map(repeat, range(passes))
        barrier.wait()
        start, used = time.perf_counter(), time.process_time()
        count = sum(found)
        return count / (time.perf_counter() - start), 1e3 * (time.process_time() - used) / count


def in_child(*words: object) -> str:
    """Run this file's ``--child`` work in a process of its own, which keeps this one small (see `measured`)."""
    return subprocess.run(
        [sys.executable, __file__, "--child", *map(str, words)],
        capture_output=True, text=True, check=True, env=environment(),
    ).stdout  # fmt: skip


def child(words: list[str]) -> None:
    """Do what :func:`in_child` asks for."""
    if words[0] == "model":
        make_model(Path(words[1]), (int(words[2]), int(words[3])), float(words[4]))
    elif words[0] == "video":
        print(given_or_generated(None, Path(words[1]), int(words[2])))
    else:
        print(*bare_forward(Path(words[1]), int(words[2]), int(words[3]), int(words[4]), float(words[5])))


class Run:
    """One call of the command."""

    def __init__(self, video: Path, model: Path, folder: Path) -> None:
        words: list[str | Path] = ["-m", "dynsal.cli", "predict", video, "--model", model]
        words += ["--out", folder / "out"]
        usage = measured([sys.executable, *words], folder)
        told = (folder / "output.txt").read_text(errors="replace")
        found = re.search(r"(\d+) frame\(s\) of .*?, ([\d.]+) per second, the first after ([\d.]+) s", told)
        if found is None:
            raise SystemExit(f"no result in\n{told[-2000:]}")
        self.frames, self.rate = int(found[1]), float(found[2])
        self.peak_mib, self.cpu_seconds = usage.peak_mib, usage.cpu_seconds
        # From the start of the process, imports and loading included.
        self.first = usage.seconds - self.frames / self.rate + float(found[3])


def speed(model: Path, name: str, video: Path, folder: Path, options: argparse.Namespace) -> float:
    """Print the rows of one net; return the processor time per frame of the net alone (passes beside each other), in ms."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limits: dict[str, tuple[int, int, int]] = {
        "1 thread, batches of 8": (1, 1, 8),
        f"{cores} threads, batches of 8": (cores, 1, 8),
        f"{cores} passes of 1 thread beside each other": (1, cores, 1),
    }
    bare: dict[str, list[float]] = {text: [] for text in limits}
    cpu_ms, runs = [], []
    for _ in range(options.repeats):
        for text, (threads, passes, batch) in limits.items():
            rate, used = map(
                float, in_child("forward", model, threads, passes, batch, options.seconds).split()
            )
            bare[text].append(rate)
            if passes > 1:
                cpu_ms.append(used)
        runs.append(Run(video, model, folder))
    rates = [run.rate for run in runs]
    median = statistics.median(rates)
    show(f"{name}: overlay and table", f"{median:.1f} fps", target=at_least(median, LEAST_RATE))
    for text, limit in bare.items():
        ratio = median_ratio(rates, limit)
        show(
            f"  net alone, {text}",
            "",
            f"{statistics.median(limit):.1f} fps",
            ratio,
            at_least(ratio, LEAST_RATIO),
        )
    first = statistics.median(run.first for run in runs)
    show(
        "  first frame, from the start of the process",
        f"{first:.2f} s",
        target=at_most(first, SLOWEST_FIRST, "s"),
    )
    return statistics.median(cpu_ms)


def main() -> None:
    """Print the table."""
    made = parser(__doc__, repeats=3)
    made.add_argument(
        "--size", type=int, nargs="+", default=[160, 120], help="of nets: WIDTH HEIGHT, several times"
    )
    made.add_argument("--width", type=float, default=0.25, help="of the net (default %(default)s)")
    made.add_argument("--model", type=Path, help="a trained net instead")
    made.add_argument("--video", type=Path, help="a video instead of the demo's")
    made.add_argument("--frames", type=int, default=300, help="of the demo's video (default %(default)s)")
    made.add_argument("--seconds", type=float, default=5.0, help="of each bare run (default %(default)s)")
    made.add_argument("--child", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    options = made.parse_args()
    if options.child:
        child(options.child)
        return
    if options.model is not None:
        options.model = options.model.resolve()
    begin("dynsal predict: overlay and table")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        short = options.video or Path(in_child("video", folder / "short", options.frames).strip())
        times = []
        for _ in range(2 * options.repeats + 1):
            start = time.perf_counter()
            subprocess.run(
                [sys.executable, "-m", "dynsal.cli", "predict", "--help"],
                env=environment(),
                check=True,
                stdout=subprocess.DEVNULL,
            )
            times.append(time.perf_counter() - start)
        help_seconds = statistics.median(times)
        show(
            "dynsal predict --help", f"{help_seconds:.2f} s", target=at_most(help_seconds, SLOWEST_HELP, "s")
        )
        model = options.model or Path()
        if options.model is not None:
            net_ms = speed(model, model.stem, short, folder, options)
        else:
            for width, height in zip(options.size[::2], options.size[1::2], strict=True):
                model = folder / f"{width}x{height}.safetensors"
                in_child("model", model, width, height, options.width)
                net_ms = speed(
                    model, f"early 1/{1 / options.width:g}, {width}x{height}", short, folder, options
                )
        if options.video is None:
            long = Path(in_child("video", folder / "long", 4 * options.frames).strip())
            few, many = (Run(video, model, folder) for video in (short, long))
            growth = many.peak_mib / few.peak_mib
            show(
                f"peak memory, {many.frames} and {few.frames} frames", f"{many.peak_mib:.0f} MiB", f"{few.peak_mib:.0f} MiB",
                1 / growth, at_most(growth, MOST_GROWTH, "times"),
            )  # fmt: skip
            # Start-up cancels out. On a busy machine this says more than frames per second do.
            all_ms = 1e3 * (many.cpu_seconds - few.cpu_seconds) / (many.frames - few.frames)
            show(
                "processor time per frame, net alone as limit",
                f"{all_ms:.1f} ms",
                f"{net_ms:.1f} ms",
                net_ms / all_ms,
            )


if __name__ == "__main__":
    main()
