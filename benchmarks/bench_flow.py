"""The flow step against a bare loop over the same OpenCV calls on frames that already lie in memory.

The step decodes, rescales, computes the fields, rounds them to 1/16 px and writes them compressed; the bare loop turns
the same frames grey and calls the estimator. Both use one thread per process. Compared in one process, and in one
process per core over several videos, which is how the workflow runs it. Below: where the step's time goes.

Then the step's script on one generated video by several processes, start-up included. The limit is one process's time
divided by their number; for processor time, which tells more where others use the cores, one process's.

python benchmarks/bench_flow.py --estimator dis --size 160 96
python benchmarks/bench_flow.py --estimator deepflow --size 640 480 --frames 12 --repeats 3
python benchmarks/bench_flow.py --one-video --estimator deepflow --size 640 480 --frames 40 --repeats 1
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from _common import (
    SCENE,
    SCRIPTS,
    Timed,
    Usage,
    at_least,
    begin,
    given_or_generated,
    interleaved,
    measured,
    median_ratio,
    parser,
    show,
)
from numpy.typing import NDArray

from dynsal.clips import create, describe, flow_step
from dynsal.config import parse, stage_json
from dynsal.datasets.demo import generate
from dynsal.device import usable_cpus
from dynsal.flow import estimator, fields
from dynsal.prepare import working_frames
from dynsal.video import decode

TARGET = 0.95
TARGET_SHARED = 0.9

_frames: list[NDArray[np.uint8]] = []
"""The working frames, in memory; in this process and in every worker."""


def prepare(video: Path, size: tuple[int, int], count: int) -> None:
    """Decode and rescale the frames of the bare loop beforehand, and keep OpenCV to one thread."""
    cv2.setNumThreads(1)
    decoded = itertools.islice(decode(video), count)
    _frames[:] = [frame.bgr for frame in working_frames(decoded, size, 1, 1)]


def step(video: Path, size: tuple[int, int], count: int, name: Any, folder: Path) -> dict[str, float]:
    """Do the flow step's work on one video; return the seconds of its parts."""
    start = time.perf_counter()
    decoded = Timed(itertools.islice(decode(video), count))
    frames = Timed(working_frames(decoded, size, 1, 1))
    pairs = Timed(fields(frames, estimator(name), "forward"))
    out = folder / f"{os.getpid()}.h5"
    with create(out, size, flow_step=flow_step(size[0])) as writer:
        for frame, field in pairs:
            writer.append(frame.index, frame.time, flow=field)
        describe(writer, estimator=name)
    total = time.perf_counter() - start
    return {
        "decode": decoded.seconds,
        "rescale": frames.seconds - decoded.seconds,
        "grey, estimate": pairs.seconds - frames.seconds,
        "round, compress, write": total - pairs.seconds,
    }


def bare(name: Any) -> None:
    """Compute the same fields with OpenCV and nothing else."""
    estimate, previous = estimator(name), None
    for bgr in _frames:
        grey = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY), np.uint8)
        if previous is not None:
            estimate(previous, grey)
        previous = grey


def everywhere(pool: ProcessPoolExecutor, videos: int, work: Callable[[], object]) -> None:
    """Do a piece of work once per video, on all processes."""
    for done in [pool.submit(work) for _ in range(videos)]:
        done.result()


def compare(options: argparse.Namespace, video: Path, folder: Path, name: str) -> None:
    """Print the rows of one estimator."""
    size, count = tuple(options.size), len(_frames)
    parts: list[dict[str, float]] = []
    work, limit = partial(step, video, size, options.frames, name, folder), partial(bare, name)
    times = interleaved({"step": lambda: parts.append(work()), "bare": limit}, options.repeats)
    row(f"{name}, one process", times, count)

    processes = options.processes
    videos = options.videos or 2 * processes
    arguments = (video, size, options.frames)
    with ProcessPoolExecutor(processes, get_context("spawn"), prepare, arguments) as pool:
        turns = {
            "step": lambda: everywhere(pool, videos, work),
            "bare": lambda: everywhere(pool, videos, limit),
        }
        times = interleaved(turns, options.repeats)
    row(f"{name}, {processes} processes, {videos} videos", times, count * videos)

    total = statistics.median(sum(seconds.values()) for seconds in parts)
    for part in parts[0]:
        seconds = statistics.median(seconds[part] for seconds in parts)
        show(f"  {part}", f"{1e3 * seconds / count:.3f} ms", "", seconds / total, "(share of the step)")


def compare_shared(options: argparse.Namespace, folder: Path, name: str) -> None:
    """Print the rows of one video by several processes: the step's script, start-up included."""
    processes = options.processes
    size = {"prepare": {"size": list(options.size)}}
    config = parse({"dataset": {"name": "demo", "split": "demo"}, **size})
    frames = folder / f"{SCENE}.h5"
    words: list[str | Path] = [
        "--video", SCENE, "--raw", folder / "raw", "--params", stage_json(config, "dataset", "prepare"),
    ]  # fmt: skip
    if not frames.exists():
        generate(SCENE, folder / "raw", 0, n_frames=options.frames, n_viewers=1)
        measured([sys.executable, SCRIPTS / "rescale.py", *words, "--out", frames], folder)
    words += ["--frames", frames, "--estimator", name, "--out", folder / "flow.h5"]
    usages: dict[int, list[Usage]] = {1: [], processes: []}

    def turn(count: int) -> None:
        command = [sys.executable, SCRIPTS / "flow.py", *words, "--processes", str(count)]
        usages[count].append(measured(command, folder))

    interleaved({str(count): partial(turn, count) for count in usages}, options.repeats, warm_up=False)
    for what, share, target in (("seconds", processes, TARGET_SHARED), ("cpu_seconds", 1, TARGET_SHARED)):
        one, several = ([getattr(usage, what) for usage in usages[count]] for count in usages)
        ratio = median_ratio(one, several) / share
        figure, limit = (1e3 * statistics.median(found) / options.frames for found in (several, one))
        show(
            f"{name}, one video by {processes} processes" if share > 1 else "  processor time",
            f"{figure:.1f} ms",
            f"{limit / share:.1f} ms",
            ratio,
            at_least(ratio, target),
        )


def row(name: str, times: dict[str, list[float]], frames: int) -> None:
    """Print one comparison in milliseconds of wall time per frame."""
    ratio = median_ratio(times["bare"], times["step"])
    figure, limit = (1e3 * statistics.median(times[which]) / frames for which in ("step", "bare"))
    show(name, f"{figure:.3f} ms", f"{limit:.3f} ms", ratio, at_least(ratio, TARGET))


def main() -> None:
    """Measure and print."""
    options_parser = parser(__doc__, repeats=5)
    options_parser.add_argument("--video", type=Path, help="instead of a generated demo video")
    options_parser.add_argument(
        "--estimator", nargs="+", default=["dis"], choices=["dis", "deepflow", "farneback"]
    )
    options_parser.add_argument(
        "--size", type=int, nargs=2, default=(160, 96), metavar=("WIDTH", "HEIGHT"), help="default 160 96"
    )
    options_parser.add_argument(
        "--frames", type=int, default=60, help="first frames of the video (default 60)"
    )
    options_parser.add_argument(
        "--processes", type=int, default=usable_cpus(), help="default: one per usable CPU"
    )
    options_parser.add_argument(
        "--videos", type=int, help="pieces of work for them (default: two per process)"
    )
    options_parser.add_argument(
        "--one-video", action="store_true", help="measure only one video by several processes"
    )
    options = options_parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        video = given_or_generated(options.video, folder, options.frames)
        prepare(video, tuple(options.size), options.frames)
        width, height = options.size
        begin(f"flow of {len(_frames)} frames of {video.name} at {width}x{height}; wall time per frame")
        for name in options.estimator:
            if not options.one_video:
                compare(options, video, folder, name)
            if options.processes > 1:
                compare_shared(options, folder, name)


if __name__ == "__main__":
    main()
