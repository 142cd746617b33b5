"""What the benchmarks share: the machine's line, interleaved timing, rows of figures, and measured subprocesses.

A ratio is always a speed (or share) over its limit, so that 1 is the best one can hope for. Work and limit take turns
within one run, and the ratio is the median over turns, so that a machine that slows down slows both.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ROOT / "workflow" / "scripts"
MIB = 2**20
SCENE = "demo_pan_91_640x480"
"""Video to generate where none is given: DIEM's usual size, and everything moves."""


def parser(description: str | None, repeats: int | None = None) -> argparse.ArgumentParser:
    """Return a parser that keeps the description's lines, with ``--repeats`` if there is a default for it."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    if repeats is not None:
        made.add_argument(
            "--repeats", type=int, default=repeats, help=f"turns of work and limit (default {repeats})"
        )
    return made


def machine_line() -> str:
    """Return processor, usable cores, memory and versions in one line."""
    from dynsal import provenance

    machine, versions = provenance.hardware(), provenance.versions()
    packages = ", ".join(f"{name} {version}" for name, version in versions.items() if name != "dynsal")
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB, {machine['system']}; "
        f"{packages}"
    )


def begin(title: str) -> None:
    """Print the machine's line, what is measured, and the head of the table."""
    # Asked of another process, which keeps this one small: see `measured`.
    print(
        subprocess.run([sys.executable, __file__], capture_output=True, text=True, check=True).stdout.strip()
    )
    print(title)
    print(f"{'':44}{'figure':>14}{'limit':>14}{'ratio':>8}  target", flush=True)


def show(name: str, figure: str, limit: str = "", ratio: float | None = None, target: str = "") -> None:
    """Print one row; figures come with their units."""
    shown = "" if ratio is None else f"{ratio:.3f}"
    print(f"{name:44}{figure:>14}{limit:>14}{shown:>8}  {target}".rstrip(), flush=True)


def at_least(ratio: float, target: float) -> str:
    """Return a target for the table, with whether it is met."""
    return f">= {target:g} {'met' if ratio >= target else 'MISSED'}"


def at_most(value: float, target: float, unit: str) -> str:
    """Return an upper limit for the table, with whether it is kept."""
    return f"<= {target:g} {unit} {'met' if value <= target else 'MISSED'}"


def interleaved(
    works: Mapping[str, Callable[[], object]], repeats: int, warm_up: bool = True
) -> dict[str, list[float]]:
    """Return the seconds of every turn of each piece of work; they take turns, in reversed order every other time."""
    if warm_up:
        for work in works.values():
            work()
    times: dict[str, list[float]] = {name: [] for name in works}
    for repeat in range(repeats):
        for name in list(works) if repeat % 2 == 0 else list(reversed(list(works))):
            start = time.perf_counter()
            works[name]()
            times[name].append(time.perf_counter() - start)
    return times


def median_ratio(numerators: Iterable[float], denominators: Iterable[float]) -> float:
    """Return the median over turns of the quotient."""
    return statistics.median(above / below for above, below in zip(numerators, denominators, strict=True))


Item = TypeVar("Item")


class Timed(Generic[Item]):
    """An iterator that adds up the seconds spent in what it iterates over."""

    def __init__(self, items: Iterable[Item]) -> None:
        self._items = iter(items)
        self.seconds = 0.0

    def __iter__(self) -> Iterator[Item]:
        """Return itself."""
        return self

    def __next__(self) -> Item:
        """Return the next item, timing how long it took."""
        start = time.perf_counter()
        try:
            return next(self._items)
        finally:
            self.seconds += time.perf_counter() - start


def given_or_generated(video: Path | None, folder: Path, frames: int) -> Path:
    """Return the given video, or write a demo video of so many frames into the folder."""
    if video is not None:
        return video
    from dynsal.datasets.demo import generate

    generate(SCENE, folder, 0, n_frames=frames, n_viewers=1)
    return folder / SCENE / "video" / f"{SCENE}.mp4"


class Usage(NamedTuple):
    """What a process took."""

    seconds: float
    peak_mib: float
    """Largest resident set of the process itself, without its children."""
    cpu_seconds: float
    """Processor time of the process and the children it waited for, in user and system mode."""


def measured(command: Sequence[str | Path], cwd: Path) -> Usage:
    """Run a command to its end and return its wall time and peak memory.

    Linux counts the memory of the process that starts another towards the other's peak, so callers must stay small:
    nothing of dynsal, numpy or torch is imported at the top of this file.

    Raises
    ------
    SystemExit
        If the command fails, with the end of what it said.
    """
    with (cwd / "output.txt").open("w+b") as output:
        start = time.perf_counter()
        process = subprocess.Popen(
            [str(word) for word in command],
            cwd=cwd,
            env=environment(),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            told = output.read().decode(errors="replace")[-3000:]
            raise SystemExit(f"{' '.join(map(str, command))[:500]} failed:\n{told}")
    # ru_maxrss is in KiB, but in bytes on macOS.
    peak = usage.ru_maxrss / (MIB if sys.platform == "darwin" else 1024)
    return Usage(seconds, peak, usage.ru_utime + usage.ru_stime)


def environment() -> dict[str, str]:
    """Return the environment for scripts: this interpreter first on the path, and this checkout's dynsal."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT / "src")}


def dry_run(checkout: Path, profile: str, quiet: str, *targets: str) -> tuple[Usage, str]:
    """Plan targets (none: everything) in a checkout with ``config/<profile>.yaml``; return what it took, and what it printed.

    ``quiet`` is as for Snakemake's ``--quiet``.
    """
    words: list[str | Path] = [
        sys.executable,
        "-m",
        "snakemake",
        "--snakefile",
        checkout / "Snakefile",
        "--directory",
        checkout,
    ]
    config: list[str | Path] = [
        "--configfile",
        checkout / "config" / f"{profile}.yaml",
        "--dry-run",
        "--quiet",
        quiet,
    ]
    usage = measured([*words, *config, "--", *targets] if targets else [*words, *config], checkout)
    return usage, (checkout / "output.txt").read_text(encoding="utf-8")


def planned_jobs(text: str) -> int:
    """Return the number of jobs that a dry run printed."""
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("total ")), 0)


def fresh_checkout(folder: Path) -> Path:
    """Copy what the workflow needs, without results, environment and caches, as a fresh clone would have it."""
    for name in ("Snakefile", "config", "envs", "resources", "src", "workflow"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(
                source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", ".*")
            )
        else:
            shutil.copy2(source, folder / name)
    return folder


if __name__ == "__main__":
    print(machine_line())
