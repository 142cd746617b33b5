"""Peak memory of the rescale, flow and evaluate steps on videos of n and of 4n frames, each in a fresh process.

Runs the workflow's own scripts on generated videos. A step that holds a whole video in memory grows with its length;
one that streams does not, but for the gaze table and the rows of scores.

python benchmarks/bench_memory.py --frames 150
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from multiprocessing import get_context
from pathlib import Path

from _common import ROOT, SCRIPTS, begin, measured, parser, show

TARGET = 0.05
FACTOR = 4
VIDEOS = ("demo_pan_91_480x360", "demo_still_92_480x360")
"""Two, because the negatives of each come from the other."""


def generate(raw: Path, frames: int) -> None:
    """Write the raw videos and their gaze."""
    from dynsal.datasets.demo import generate as write

    for video in VIDEOS:
        write(video, raw, 0, n_frames=frames)


def save_net(path: Path, config_file: Path, arch: str) -> None:
    """Write an untrained net."""
    from dynsal.config import load
    from dynsal.nets import build
    from dynsal.training import save_model

    config = load(config_file)
    meta = {
        "arch": arch,
        "net": config.net.model_dump(mode="json"),
        "flow": config.flow.model_dump(mode="json"),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    save_model(path, build(arch, config.net), meta)


def apart(function: object, *arguments: object) -> None:
    """Call a function in a process of its own: what it needs shall not count towards later children's peaks."""
    process = get_context("spawn").Process(target=function, args=arguments)  # type: ignore[arg-type]
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"preparing the measurement failed with status {process.exitcode}")


def peaks(folder: Path, config: Path, model: Path, estimator: str) -> dict[str, float]:
    """Run the steps on the raw videos in the folder; return the peak in MiB of each on the first video."""
    found: dict[str, float] = {}

    def run(script: str, *arguments: str | Path) -> float:
        words = [sys.executable, SCRIPTS / f"{script}.py", "--config", config, *arguments]
        return measured(words, folder).peak_mib

    for video in VIDEOS:
        source = ("--video", video, "--raw", folder / "raw")
        frames, flow = folder / "frames" / f"{video}.h5", folder / "flow" / f"{video}.h5"
        rescaled = run("rescale", *source, "--out", frames)
        computed = run("flow", *source, "--frames", frames, "--estimator", estimator, "--out", flow)
        run("gaze", *source, "--frames", frames, "--out", folder / "gaze" / f"{video}.parquet")
        found.setdefault("rescale", rescaled)
        found.setdefault("flow", computed)
    scores = ("--name", "bench", "--seed", "0", "--model", model)
    found["evaluate"] = run("evaluate", *scores, "--results", folder, "--videos", *VIDEOS)
    return found


def main() -> None:
    """Measure and print."""
    options_parser = parser(__doc__, repeats=3)
    options_parser.add_argument(
        "--frames", type=int, default=150, help=f"n; the longer videos have {FACTOR} n (default 150)"
    )
    options_parser.add_argument("--config", type=Path, default=ROOT / "config" / "config.yaml")
    options_parser.add_argument("--arch", default="early")
    options_parser.add_argument("--estimator", default="dis", choices=["dis", "deepflow", "farneback"])
    options = options_parser.parse_args()
    config = options.config.resolve()
    lengths = (options.frames, FACTOR * options.frames)
    begin(f"peak memory of a step on videos of {lengths[1]} frames; limit: the same on {lengths[0]} frames")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        model = folder / "model.safetensors"
        apart(save_net, model, config, options.arch)
        for length in lengths:
            apart(generate, folder / str(length) / "raw", length)
        turns: dict[int, list[dict[str, float]]] = {length: [] for length in lengths}
        for _ in range(options.repeats):
            for length in lengths:
                turns[length].append(peaks(folder / str(length), config, model, options.estimator))
    for step in turns[lengths[0]][0]:
        short, long = (statistics.median(turn[step] for turn in turns[length]) for length in lengths)
        growth = long / short - 1
        verdict = "met" if growth < TARGET else "MISSED"
        show(
            step,
            f"{long:.1f} MiB",
            f"{short:.1f} MiB",
            long / short,
            f"< {1 + TARGET:g} {verdict} ({long - short:+.1f} MiB)",
        )


if __name__ == "__main__":
    main()
