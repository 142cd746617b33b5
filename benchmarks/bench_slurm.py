"""What a job costs on SLURM beyond its work and the queue: two more starts of Snakemake, alone and in a chain of three.

Run it where `sbatch` works; partition and account are those of profiles/slurm, or given. On a machine without SLURM:

    python tests/slurm_cluster.py -- python benchmarks/bench_slurm.py
"""

from __future__ import annotations

import datetime
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml
from _common import ROOT, at_most, begin, environment, fresh_checkout, parser, show

TARGET = 3.0
"""Seconds a job, beyond the queue's own."""
CHAIN = 3
_RULES = """
include: "Snakefile"

localrules: bench

rule bench:
    input: expand("bench/{kind}{number}", kind={kinds}, number=range({jobs}))

rule single:
    output: "bench/single{number}"
    shell: "touch {output}"

rule one:
    output: "bench/one{number}"
    group: "bench"
    shell: "touch {output}"

rule two:
    input: "bench/one{number}"
    output: "bench/two{number}"
    group: "bench"
    shell: "touch {output}"

rule three:
    input: "bench/two{number}"
    output: "bench/three{number}"
    group: "bench"
    shell: "touch {output}"
"""


def write_run(checkout: Path, jobs: int, partition: str | None, account: str | None) -> None:
    """Write the rules to run, and the real profile with small numbers."""
    rules = _RULES.replace("{kinds}", '["single", "three"]').replace("{jobs}", str(jobs))
    (checkout / "bench.smk").write_text(rules)
    profile = yaml.safe_load((ROOT / "profiles/slurm/profile.yaml").read_text(encoding="utf-8"))
    profile |= {"slurm-init-seconds-before-status-checks": 5, "retries": 0, "jobs": 1}
    chosen = {"slurm_partition": partition, "slurm_account": account, "runtime": 10, "mem_mb": 1000}
    profile["default-resources"] |= {name: value for name, value in chosen.items() if value is not None}
    (checkout / "profile").mkdir()
    (checkout / "profile" / "profile.yaml").write_text(yaml.safe_dump(profile))


def allocations(output: str) -> dict[str, list[float]]:
    """Return the seconds that each kind of job of a finished run held its allocation, from squeue (whole seconds)."""
    name = re.findall(r"SLURM run ID: (\S+)", output)[-1]
    fields = "StartTime:24 ,EndTime:24 ,Comment:60 "
    listed = ["squeue", "--states=all", "--noheader", "--name", name, "-O", fields]
    found: dict[str, list[float]] = {"single": [], "chain": []}
    for line in subprocess.run(listed, capture_output=True, text=True, check=True).stdout.splitlines():
        start, end, comment = line.split()[:3]
        held = datetime.datetime.fromisoformat(end) - datetime.datetime.fromisoformat(start)
        found["single" if comment.startswith("rule_single") else "chain"].append(held.total_seconds())
    return found


def seconds_of_queue(partition: str, repeats: int) -> float:
    """Return the median time of submitting nothing and waiting for its end."""
    turns = []
    for _ in range(repeats):
        start = time.perf_counter()
        subprocess.run(
            ["sbatch", "--wait", "-p", partition, "--mem=100", "--output=/dev/null", "--wrap", "true"],
            check=True,
            capture_output=True,
        )
        turns.append(time.perf_counter() - start)
    return statistics.median(turns)


def cpu_seconds(command: list[str], cwd: Path) -> float:
    """Return the processor time of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=cwd, env=environment(), check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)


def main() -> None:
    """Measure and print."""
    options_parser = parser(__doc__, repeats=4)
    options_parser.add_argument("--partition", help="instead of the profile's")
    options_parser.add_argument("--account", help="instead of the profile's")
    options = options_parser.parse_args()
    begin(
        f"seconds per job on SLURM beyond its work; {options.repeats} single jobs and as many chains of {CHAIN}"
    )
    with tempfile.TemporaryDirectory() as temporary:
        checkout = fresh_checkout(Path(temporary))
        write_run(checkout, options.repeats, options.partition, options.account)
        run = [sys.executable, "-m", "snakemake", "--snakefile", "bench.smk"]
        path = os.pathsep.join([str(ROOT / "profiles/slurm/bin"), environment()["PATH"]])
        done = subprocess.run(
            [*run, "--workflow-profile", "profile", "--", "bench"],
            cwd=checkout,
            env={**environment(), "PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode:
            raise SystemExit(done.stdout[-3000:])
        held = allocations(done.stdout)
        profile = yaml.safe_load((checkout / "profile" / "profile.yaml").read_text())
        queue = seconds_of_queue(profile["default-resources"]["slurm_partition"], options.repeats)
        starts = [
            cpu_seconds([*run, "--cores", "1", "--force", "--", "bench/single0"], checkout)
            for _ in range(options.repeats)
        ]
        bare = checkout / "bare"
        bare.mkdir()
        (bare / "Snakefile").write_text('rule one:\n    output: "one"\n    shell: "touch {output}"\n')
        least = [
            cpu_seconds([*run[:3], "--cores", "1", "--force", "--", "one"], bare)
            for _ in range(options.repeats)
        ]
    show("queue: submitting and ending `true`", f"{queue:.2f} s")
    single, chain = statistics.mean(held["single"]), statistics.mean(held["chain"]) / CHAIN
    show("single job: allocation, work is none", f"{single:.2f} s", target=at_most(single, TARGET, "s"))
    show(f"chain of {CHAIN}: allocation per step", f"{chain:.2f} s", target=at_most(chain, TARGET, "s"))
    start, bare_start = statistics.median(starts), statistics.median(least)
    show("CPU time of one start of Snakemake", f"{start:.2f} s", f"{bare_start:.2f} s", bare_start / start)
    show("  of a single job (two starts)", f"{2 * start:.2f} s", target=at_most(2 * start, TARGET, "s"))
    per_step = (1 + CHAIN) * start / CHAIN
    show(f"  per step of a chain of {CHAIN}", f"{per_step:.2f} s", target=at_most(per_step, TARGET, "s"))


if __name__ == "__main__":
    main()
