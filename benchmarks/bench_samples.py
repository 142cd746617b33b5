"""The training loader against bare decoding of the same bytes: reading from HDF5, cv2.imdecode, inflating the flow.

Work: ``dynsal.batches.Loader`` over ``ClipSamples`` (frame, flow, density and fixations of every sample, in batches) with
1 and 2 worker processes. Limit: the same frames in the same order by as many bare processes that read, decode and drop
them. A demo video of 640x480 with 40 viewers is made and prepared first. Frames and flow are in the page cache. Below: the
processor time that the worker processes take per sample, which a busy machine changes less.

python benchmarks/bench_samples.py
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import cv2
import h5py
import torch
from _common import SCENE, SCRIPTS, at_least, begin, interleaved, measured, median_ratio, parser, show
from threadpoolctl import threadpool_limits

from dynsal.batches import BatchOrder, Loader
from dynsal.config import Config, parse
from dynsal.samples import ClipSamples, sources

TARGET = 0.9


def prepare(folder: Path, size: tuple[int, int], frames: int) -> tuple[Config, list[Path]]:
    """Make clips and gaze of a demo video in a folder; return the configuration and the clips of frames and flow."""
    from dynsal.datasets.demo import generate

    generate(SCENE, folder / "raw", 0, n_frames=frames, n_viewers=40)
    config = parse({"dataset": {"name": "demo", "split": "demo"}, "prepare": {"size": list(size)}})
    sections = {
        name: getattr(config, name).model_dump(mode="json") for name in ("dataset", "prepare", "gaze")
    }
    words: list[str | Path] = ["--video", SCENE, "--raw", folder / "raw", "--params", json.dumps(sections)]
    frame_clip, flow_clip = (folder / step / f"{SCENE}.h5" for step in ("frames", "flow"))
    steps: dict[str, list[str | Path]] = {
        "rescale": ["--out", frame_clip],
        "gaze": ["--frames", frame_clip, "--out", folder / "gaze" / f"{SCENE}.parquet"],
        "flow": ["--frames", frame_clip, "--estimator", "dis", "--out", flow_clip],
    }
    for name, more in steps.items():
        command: list[str | Path] = [sys.executable, SCRIPTS / f"{name}.py", *words, *more]
        measured(command, folder)
    return config, [frame_clip, flow_clip]


def bare(clips: Sequence[Path], positions: Sequence[int]) -> None:
    """Read and decode frames and fields, one after the other, and drop them."""
    cv2.setNumThreads(1)
    with h5py.File(clips[0]) as frames, h5py.File(clips[1]) as flow:
        pictures, fields = frames["jpeg"], flow["flow"]
        for position in positions:
            cv2.imdecode(pictures[position], cv2.IMREAD_COLOR)
            fields[position]


def everywhere(clips: Sequence[Path], positions: Sequence[int], processes: int) -> None:
    """Do that in so many processes, each with its part."""
    context = multiprocessing.get_context("fork")
    started = [
        context.Process(target=bare, args=(clips, positions[part::processes])) for part in range(processes)
    ]
    for process in started:
        process.start()
    for process in started:
        process.join()


def load(samples: ClipSamples, batches: list[list[int]], workers: int) -> None:
    """Take all batches from the loader."""
    with Loader(samples, batches, workers, torch.device("cpu"), None) as loader:
        for _ in loader:
            pass


def processor_time(work: Callable[[], None]) -> float:
    """Return the seconds of user and system time of the processes that the work starts and waits for."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    work()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure and print."""
    options_parser = parser(__doc__, repeats=5)
    options_parser.add_argument(
        "--size", type=int, nargs=2, default=(640, 480), metavar=("WIDTH", "HEIGHT"), help="default 640 480"
    )
    options_parser.add_argument(
        "--frames", type=int, default=60, help="of the video, each read --epochs times (default 60)"
    )
    options_parser.add_argument("--epochs", type=int, default=8, help="per turn (default 8)")
    options_parser.add_argument("--batch-size", type=int, default=8)
    options_parser.add_argument("--processes", type=int, nargs="+", default=[1, 2], help="default 1 2")
    options = options_parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    threadpool_limits(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        config, clips = prepare(folder, tuple(options.size), options.frames)
        samples = ClipSamples(sources(folder, [SCENE], [1]), config.gaze, ("frame", "flow"))
        order = BatchOrder(samples.groups, options.batch_size, 0)
        batches = [order.batch(step) for step in range(options.epochs * order.steps_per_epoch)]
        positions = [position for batch in batches for position in batch]
        width, height = options.size
        begin(f"loading {len(positions)} samples of {width}x{height} in batches of {options.batch_size}")
        for processes in options.processes:
            work = partial(load, samples, batches, processes)
            limit = partial(everywhere, clips, positions, processes)
            times = interleaved({"loader": work, "bare": limit}, options.repeats)
            figure, best = (len(positions) / statistics.median(times[name]) for name in ("loader", "bare"))
            ratio = median_ratio(times["bare"], times["loader"])
            show(
                f"loader, {processes} process(es)",
                f"{figure:.0f} /s",
                f"{best:.0f} /s",
                ratio,
                at_least(ratio, TARGET),
            )
            spent, least = (1e3 * processor_time(one) / len(positions) for one in (work, limit))
            show("  processor time", f"{spent:.2f} ms", f"{least:.2f} ms", least / spent)


if __name__ == "__main__":
    main()
