"""Planning a large data set: time, memory and files of `snakemake -n` for a generated folder of so many videos.

The videos are empty files: nothing but names is read to plan. Printed per size and `prepare.batch`: jobs, seconds (wall
and processor), peak memory, and the files that a finished run leaves, by counting the planned outputs, logs and
benchmarks and Snakemake's own records.

python benchmarks/bench_scale.py --videos 100 1000 10000 --batch 1 50
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from _common import Usage, at_most, begin, dry_run, fresh_checkout, parser, planned_jobs, show

TARGET_S, TARGET_MIB = 300.0, 2048.0
"""For 10,000 videos."""
TEST_SHARE = 5
"""Every n-th video is a test video."""


def make_folder(root: Path, count: int) -> None:
    """Write a data set of empty videos."""
    videos, gaze = root / "videos", root / "gaze"
    videos.mkdir(parents=True)
    gaze.mkdir()
    names = [f"v{number:06d}" for number in range(count)]
    for name in names:
        (videos / f"{name}.mp4").touch()
        (gaze / f"{name}.csv").touch()
    lines = [f"{name},{'test' if number % TEST_SHARE == 0 else 'train'}" for number, name in enumerate(names)]
    (root / "split.csv").write_text("video,split\n" + "\n".join(lines) + "\n", encoding="utf-8")
    (root / "dataset.yaml").write_text("px_per_deg: 30.0\n", encoding="utf-8")


def plan(checkout: Path, target: str) -> tuple[Usage, int, dict[str, int]]:
    """Plan a target; return what it took, the number of jobs, and how many files of each kind it would leave."""
    usage, listed = dry_run(checkout, "large", "host", target)
    found = {"outputs": 0, "logs": 0, "benchmarks": 0}
    for line in listed.splitlines():
        key, _, names = line.strip().partition(": ")
        kind = {"output": "outputs", "log": "logs", "benchmark": "benchmarks"}.get(key)
        if kind:
            found[kind] += len(names.split(", "))
    return usage, planned_jobs(listed), {**found, "Snakemake's records": found["outputs"]}


def measure(count: int, batch: int, target: str) -> None:
    """Measure one size and print it."""
    with tempfile.TemporaryDirectory() as temporary:
        checkout = fresh_checkout(Path(temporary))
        make_folder(checkout / "my_videos", count)
        template = (checkout / "config" / "folder.yaml").read_text(encoding="utf-8")
        config = template.replace("prepare:\n", f"prepare:\n  batch: {batch}\n")
        (checkout / "config" / "large.yaml").write_text(config, encoding="utf-8")
        usage, jobs, files = plan(checkout, target)
    large = count == 10_000
    time_target = at_most(usage.seconds, TARGET_S, "s") if large else ""
    memory_target = at_most(usage.peak_mib, TARGET_MIB, "MiB") if large else ""
    show(f"{count} videos, batch {batch}, {jobs} jobs", f"{usage.seconds:.1f} s", target=time_target)
    show("  processor time", f"{usage.cpu_seconds:.1f} s")
    show("  peak memory", f"{usage.peak_mib:.0f} MiB", target=memory_target)
    show("  files of a finished run", f"{sum(files.values()):,}", target=f"{files}")


def main() -> None:
    """Measure and print."""
    options = parser(__doc__)
    options.add_argument("--videos", type=int, nargs="+", default=[100, 1000, 10_000])
    options.add_argument("--batch", type=int, nargs="+", default=[1, 50], help="values of prepare.batch")
    options.add_argument("--target", default="results/table1.csv")
    chosen = options.parse_args()
    begin(f"snakemake --dry-run of {chosen.target} for a folder of empty videos")
    for count in chosen.videos:
        for batch in chosen.batch:
            measure(count, batch, chosen.target)


if __name__ == "__main__":
    main()
