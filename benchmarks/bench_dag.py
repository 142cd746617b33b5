"""Time and memory of `snakemake -n` per profile, in a fresh copy of the checkout in which nothing has been made yet.

python benchmarks/bench_dag.py --profile config diem
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

from _common import Usage, at_most, begin, dry_run, fresh_checkout, measured, parser, planned_jobs, show

TARGET = 5.0
"""Seconds, for DIEM: 84 videos, all models."""


def main() -> None:
    """Measure and print."""
    options_parser = parser(__doc__, repeats=5)
    options_parser.add_argument(
        "--profile",
        nargs="+",
        default=["config", "hevc33", "diem"],
        help="files in config/, without .yaml (config is the demo)",
    )
    options = options_parser.parse_args()
    begin("snakemake --dry-run of everything; limit: the same interpreter importing Snakemake")
    with tempfile.TemporaryDirectory() as temporary:
        checkout = fresh_checkout(Path(temporary))
        imports = [sys.executable, "-c", "import snakemake.cli"]
        turns: dict[str, list[Usage]] = {profile: [] for profile in options.profile}
        limits, jobs = [], {}
        measured(imports, checkout)  # warms up
        for _ in range(options.repeats):
            limits.append(measured(imports, checkout).seconds)
            for profile in options.profile:
                usage, text = dry_run(checkout, profile, "rules")
                jobs[profile] = planned_jobs(text)
                turns[profile].append(usage)
    limit = statistics.median(limits)
    for profile, usages in turns.items():
        seconds = statistics.median(usage.seconds for usage in usages)
        ratio = statistics.median(best / usage.seconds for best, usage in zip(limits, usages, strict=True))
        target = at_most(seconds, TARGET, "s") if profile == "diem" else ""
        show(f"{profile}, {jobs[profile]} jobs", f"{seconds:.2f} s", f"{limit:.2f} s", ratio, target)
        show("  peak memory", f"{statistics.median(usage.peak_mib for usage in usages):.0f} MiB")


if __name__ == "__main__":
    main()
