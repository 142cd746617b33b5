"""Set the memory and time that profiles/slurm asks for to what Snakemake's benchmark files of a run show.

In the profile's `set-resources`, every line `mem_mb: ...  # measured` or `runtime: ...  # measured` is rewritten where
the run has a benchmark of the rule; nothing else is touched. Without --write it prints what it would set.

Measured as committed, and scaled from these few frames to DIEM's 84 videos:

    snakemake --cores 1 --configfile config/test/cluster_probe.yaml -- results/table1.csv
    python benchmarks/slurm_resources.py --results results/demo --lengths resources/datasets/diem_videos.csv \
      --split borji20 --write
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from dynsal import layout
from dynsal.clips import Clip
from dynsal.fileio import write_text

ROOT = Path(__file__).resolve().parents[1]
SNAKEMAKES_MIB = 300
"""The two Snakemakes around a step in an allocation: 133 and 120 MB resident, measured on SLURM 22.05."""
MEMORY_MARGIN = 1.5
MEMORY_STEP = 500
LEAST_MEMORY = 1000
TIME_MARGIN = 2.0
"""On CPU time, which a crowded machine does not lengthen; the margin is for slower processors and file systems."""
START_MINUTES = 10
"""For imports from a slow shared file system, and for starting again where a crowded node stalls."""
TIME_STEP = 10
ALL_TEST_VIDEOS = ("floors",)
"""Rules whose one job goes through every test video; the others' goes through one video."""

_LINE = re.compile(r"^    (?P<name>mem_mb|runtime): .*?(?P<mark> *# measured.*)$")


@dataclass(frozen=True)
class Measured:
    """What the jobs of one rule took at most."""

    jobs: int
    peak_mib: float
    cpu_seconds: float


def rules_of_folders(rules: Path) -> dict[str, set[str]]:
    """Return the folder under ``benchmarks/`` -> the rules that write to it, from the rule files."""
    found: dict[str, set[str]] = {}
    for path in sorted(rules.glob("*.smk")):
        for text in re.split(r"^rule ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
            if folder := re.search(r"benchmarks/(\w+)/", text):
                found.setdefault(folder[1], set()).add(text.split(":")[0])
    return found


def measured(results: Path, rules: Path) -> dict[str, Measured]:
    """Return rule -> what its jobs took, from ``results/benchmarks``; jobs too short to be sampled count with 0 MiB."""
    found: dict[str, Measured] = {}
    for folder, names in rules_of_folders(rules).items():
        tables = [
            pd.read_csv(path, sep="\t", na_values="-")
            for path in (results / "benchmarks" / folder).rglob("*.tsv")
        ]
        if not tables:
            continue
        jobs = pd.concat(tables)
        largest = jobs[["max_rss", "cpu_time"]].fillna(0).max()
        found |= dict.fromkeys(
            names, Measured(len(jobs), float(largest["max_rss"]), float(largest["cpu_time"]))
        )
    return found


def request(taken: Measured, longer: float) -> tuple[int, int]:
    """Return MB and minutes to ask for, if the real data are so many times longer than the measured."""
    memory = taken.peak_mib * MEMORY_MARGIN + SNAKEMAKES_MIB
    minutes = START_MINUTES + TIME_MARGIN * taken.cpu_seconds * longer / 60
    return max(LEAST_MEMORY, math.ceil(memory / MEMORY_STEP) * MEMORY_STEP), math.ceil(
        minutes / TIME_STEP
    ) * TIME_STEP


def rewrite(profile: str, taken: Mapping[str, Measured], longer: Mapping[str, float]) -> str:
    """Return a profile with its marked lines set; ``longer`` has a factor per rule, and one for the rest as ``*``."""
    rule, lines = "", []
    for line in profile.splitlines():
        if head := re.match(r"^  (\w+):", line):
            rule = head[1]
        marked = _LINE.match(line)
        if marked and rule in taken:
            one = taken[rule]
            memory, minutes = request(one, longer.get(rule, longer["*"]))
            value, what = {
                "mem_mb": (memory, f"{one.peak_mib:.0f} MiB"),
                "runtime": (minutes, f"{one.cpu_seconds:.1f} s of CPU"),
            }[marked["name"]]
            setting = f"    {marked['name']}: {value} * attempt"
            line = f"{setting:34}# measured: {what} at most in {one.jobs} job{'s' * (one.jobs != 1)}"
        lines.append(line)
    return "\n".join(lines) + "\n"


def factors(results: Path, lengths: Path | None, split: str | None) -> dict[str, float]:
    """Return how many times longer the real data are: the longest video, and all test videos together."""
    if lengths is None:
        return {"*": 1.0}
    table = pd.read_csv(lengths).set_index("video")["frames"]
    here = {path.stem: len(Clip(path)) for path in (results / "frames").glob("*.h5")}
    scored = {path.stem for path in (results / "scores").rglob("*.parquet")}
    test = (
        [video for video, role in layout.split(split).items() if role == "test"]
        if split
        else list(table.index)
    )
    all_test = float(table[test].sum()) / sum(here[video] for video in scored)
    return {"*": float(table.max()) / max(here.values()), **dict.fromkeys(ALL_TEST_VIDEOS, all_test)}


def main() -> None:
    """Print the profile, or rewrite it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--results", type=Path, required=True, help="results/{ds} of the run that was measured"
    )
    parser.add_argument("--profile", type=Path, default=ROOT / "profiles/slurm/profile.yaml")
    parser.add_argument(
        "--lengths", type=Path, help="CSV with video, frames of the real data, if they are longer"
    )
    parser.add_argument("--split", help="split list of the real data")
    parser.add_argument("--write", action="store_true", help="rewrite the profile")
    options = parser.parse_args()
    longer = factors(options.results, options.lengths, options.split)
    taken = measured(options.results, ROOT / "workflow" / "rules")
    text = rewrite(options.profile.read_text(encoding="utf-8"), taken, longer)
    if options.write:
        write_text(options.profile, text)
    else:
        print(
            "\n".join(
                line for line in text.splitlines() if re.match(r"^  \w+:$", line) or "# measured" in line
            )
        )


if __name__ == "__main__":
    main()
