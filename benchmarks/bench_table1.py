"""The whole of `make table1` without the installation: wall time and peak memory of all its processes together.

Runs in a fresh copy of the checkout, so that everything is made. With --cores all 8 both are run in turns and the
second is compared with the first: asking for more cores than there are must not make it slower.

Memory is sampled. "resident" adds up what each process maps, so shared libraries count once per process (an upper
limit); "proportional" (Linux) shares them out.

python benchmarks/bench_table1.py --cores all 8
"""

from __future__ import annotations

import contextlib
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import psutil
from _common import MIB, ROOT, at_least, at_most, begin, environment, fresh_checkout, parser, show

TARGET_SECONDS = 300.0
TARGET_MIB = 2048.0
TARGET_RATIO = 0.95
"""No slower: one in twenty is left to chance."""


class Run(NamedTuple):
    """What one run took: seconds, and peaks in MiB."""

    seconds: float
    resident: float
    proportional: float


def table1(cores: str, config: Path, target: str, interval: float, keep: Path | None) -> Run:
    """Make the target in a fresh checkout."""
    with tempfile.TemporaryDirectory() as temporary:
        checkout = fresh_checkout(Path(temporary))
        log = keep or checkout / "output.txt"
        command = [
            sys.executable,
            "-m",
            "snakemake",
            "--cores",
            cores,
            "--configfile",
            str(config),
            "--",
            target,
        ]
        # The scripts find dynsal by the Snakefile's own prefix, in the copy.
        settings = {name: value for name, value in environment().items() if name != "PYTHONPATH"}
        with log.open("wb") as output:
            start = time.perf_counter()
            process = subprocess.Popen(
                command,
                cwd=checkout,
                env=settings,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                resident, proportional = watch(process, interval)
            except BaseException:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGTERM)
                process.wait()
                raise
            seconds = time.perf_counter() - start
        if process.returncode:
            told = log.read_text(encoding="utf-8", errors="replace")[-3000:]
            raise SystemExit(f"snakemake --cores {cores} failed:\n{told}")
    return Run(seconds, resident, proportional)


def watch(process: subprocess.Popen[bytes], interval: float) -> tuple[float, float]:
    """Wait for the process, sampling the memory of it and its descendants; return the peaks in MiB."""
    resident = proportional = 0.0
    root = psutil.Process(process.pid)
    while True:
        total = shared_out = 0.0
        with contextlib.suppress(psutil.Error):
            for member in [root, *root.children(recursive=True)]:
                with contextlib.suppress(psutil.Error):
                    total += member.memory_info().rss
                    shared_out += getattr(member.memory_full_info(), "pss", 0)
        resident, proportional = max(resident, total / MIB), max(proportional, shared_out / MIB)
        try:
            process.wait(interval)
        except subprocess.TimeoutExpired:
            continue
        return resident, proportional


def main() -> None:
    """Measure and print."""
    options_parser = parser(__doc__, repeats=1)
    options_parser.add_argument(
        "--cores",
        nargs="+",
        default=["all"],
        help="values of snakemake's --cores; the first is the yardstick",
    )
    options_parser.add_argument("--config", type=Path, default=ROOT / "config" / "config.yaml")
    options_parser.add_argument("--target", default="results/table1.csv")
    options_parser.add_argument(
        "--interval", type=float, default=0.25, help="seconds between samples of memory"
    )
    options_parser.add_argument("--log", type=Path, help="keep the last run's output here")
    options = options_parser.parse_args()
    config, keep = options.config.resolve(), options.log and options.log.resolve()
    begin(f"snakemake {options.target} with {config.name} from nothing; limit: --cores {options.cores[0]}")
    runs: dict[str, list[Run]] = {cores: [] for cores in options.cores}
    for repeat in range(options.repeats):
        for cores in options.cores if repeat % 2 == 0 else reversed(options.cores):
            runs[cores].append(table1(cores, config, options.target, options.interval, keep))
    first = runs[options.cores[0]]
    yardstick = statistics.median(run.seconds for run in first)
    for cores, found in runs.items():
        seconds = statistics.median(run.seconds for run in found)
        resident, proportional = (max(run[column] for run in found) for column in (1, 2))
        show(f"--cores {cores}", f"{seconds:.1f} s", "", None, at_most(seconds, TARGET_SECONDS, "s"))
        show("  peak memory, resident", f"{resident:.0f} MiB", "", None, at_most(resident, TARGET_MIB, "MiB"))
        if proportional:
            show("  peak memory, proportional", f"{proportional:.0f} MiB")
        if found is not first:
            ratio = statistics.median(
                one.seconds / other.seconds for one, other in zip(first, found, strict=True)
            )
            show(
                f"  against --cores {options.cores[0]}",
                f"{seconds:.1f} s",
                f"{yardstick:.1f} s",
                ratio,
                at_least(ratio, TARGET_RATIO),
            )


if __name__ == "__main__":
    main()
