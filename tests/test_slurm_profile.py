"""The SLURM profile against the rules, its stand-in for sacct, and the command that sets its estimates; without SLURM."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from helpers import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))
import slurm_resources

PROFILE = ROOT / "profiles" / "slurm"


@pytest.fixture(scope="module")
def profile() -> dict:
    return yaml.safe_load((PROFILE / "profile.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def rules() -> dict[str, str]:
    """Return rule -> its text."""
    parts = [
        part
        for path in (ROOT / "workflow" / "rules").glob("*.smk")
        for part in re.split(r"^rule ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    ]
    return {part.split(":")[0]: part for part in parts}


# ---- the profile ----------------------------------------------------------------------------------------------------


def test_it_names_rules_that_exist(profile, rules):
    """A misspelt rule would silently get the defaults."""
    assert {*profile["set-resources"], *profile["groups"]} <= set(rules)
    assert set(profile["group-components"]) == set(profile["groups"].values())


def test_every_gpu_rule_has_a_place(profile, rules):
    """Without an entry it would ask for a GPU in the partition that has none."""
    wanted = {name for name, text in rules.items() if "gpu=1" in text}
    placed = {name for name, values in profile["set-resources"].items() if values.get("gpu")}
    assert wanted == placed
    for name in placed:
        assert (
            profile["set-resources"][name]["slurm_partition"]
            != profile["default-resources"]["slurm_partition"]
        )


def test_more_at_every_attempt(profile):
    assert profile["retries"] >= 2
    for values in [profile["default-resources"], *profile["set-resources"].values()]:
        assert all(re.fullmatch(r"\d+ \* attempt", values[name]) for name in ("mem_mb", "runtime"))
        # Less kills the two Snakemakes around the step.
        assert int(values["mem_mb"].split()[0]) >= 1000


def test_no_traps(profile, rules):
    """What is known to hang or to lose work: docs/cluster.md."""
    assert not [name for name, text in rules.items() if re.search(r"^    retries:", text, re.MULTILINE)]
    assert not {"cores", "keep-incomplete", "slurm-array-jobs"} & set(profile)
    assert profile["slurm-requeue"] is True
    assert profile["slurm-status-command"] == "squeue"
    # SLURM forgets finished jobs after 300 s unless told otherwise.
    assert 3 * profile["slurm-init-seconds-before-status-checks"] <= 300
    assert profile["slurm-status-attempts"] / profile["max-status-checks-per-second"] >= 600


def test_groups_are_chains(profile, rules):
    """Members run one after another but are given the CPUs of all: long steps, and GPUs, must not be among them."""
    assert not {"flow", "train", "evaluate"} & set(profile["groups"])
    assert not [name for name in profile["groups"] if re.search(r"gpu=1|threads:", rules[name])]


# ---- sacct ----------------------------------------------------------------------------------------------------------

QUERY = [
    "-X",
    "--parsable2",
    "--clusters",
    "all",
    "--noheader",
    "--format=JobIdRaw,State",
    "--name",
    "dynsal_1",
]


def ask(folder: Path, sacct: str, squeue: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Ask the stand-in, with these shell scripts as the real commands behind it."""
    folder.mkdir(exist_ok=True)
    for name, body in {"sacct": sacct, "squeue": squeue}.items():
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)
    path = os.pathsep.join([str(PROFILE / "bin"), str(folder), os.environ["PATH"]])
    return subprocess.run(
        ["sacct", *words], env={**os.environ, "PATH": path}, capture_output=True, text=True, timeout=30
    )


def test_sacct_answers(tmp_path):
    """The state is its first word, which is what the plugin knows."""
    done = ask(tmp_path, 'echo "7|CANCELLED by 1000"; echo "8|RUNNING"', "exit 9", *QUERY)
    assert (done.returncode, done.stdout) == (0, "7|CANCELLED\n8|RUNNING\n")


def test_sacct_without_accounting(tmp_path):
    """The controller is asked, for this run's jobs."""
    done = ask(tmp_path, "exit 1", 'echo "$@" >&2; echo "$@"', *QUERY)
    assert done.returncode == 0
    assert "--states=all" in done.stdout
    assert "--name dynsal_1" in done.stdout


def test_sacct_waits_for_the_controller(tmp_path):
    """Neither answers at first."""
    done = ask(
        tmp_path,
        "exit 1",
        f'test -e {tmp_path}/back && echo "7|COMPLETED" || {{ touch {tmp_path}/back; exit 1; }}',
        *QUERY,
    )
    assert (done.returncode, done.stdout) == (0, "7|COMPLETED\n")


def test_other_questions_go_to_sacct(tmp_path):
    done = ask(tmp_path, 'echo "$@"; exit 3', "exit 9", "-j", "7", "-n")
    assert (done.returncode, done.stdout) == (3, "-j 7 -n\n")


# ---- estimates ------------------------------------------------------------------------------------------------------

TEXT = """\
retries: 3
set-resources:
  rescale:
    mem_mb: 1 * attempt           # measured
    runtime: 1 * attempt          # measured: long ago
  train:
    slurm_partition: gpu          # edit
    mem_mb: 1 * attempt           # measured
    runtime: 720 * attempt
  flow:
    mem_mb: 9 * attempt           # measured
"""
HEAD = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time"


def write_benchmark(results: Path, name: str, memory: object, cpu: object) -> None:
    path = results / "benchmarks" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{HEAD}\n9.0\t0:00:09\t{memory}\t1\t1\t1\t0\t0\t0\t{cpu}\n")


def test_estimates(tmp_path):
    """The largest of a rule's jobs, with its margin; what is unmarked or was not measured stays."""
    for name, memory, cpu in [
        ("rescale/a.tsv", 200, 3.0), ("rescale/b.tsv", 900.4, 60), ("rescale/c.tsv", "-", "-"), ("train/m.seed0.tsv", 5000, 9e4),
    ]:  # fmt: skip
        write_benchmark(tmp_path, name, memory, cpu)
    taken = slurm_resources.measured(tmp_path, ROOT / "workflow" / "rules")
    assert taken["rescale"] == slurm_resources.Measured(3, 900.4, 60.0)
    assert "flow" not in taken
    assert (
        slurm_resources.rewrite(TEXT, taken, {"*": 10.0})
        == """\
retries: 3
set-resources:
  rescale:
    mem_mb: 2000 * attempt        # measured: 900 MiB at most in 3 jobs
    runtime: 30 * attempt         # measured: 60.0 s of CPU at most in 3 jobs
  train:
    slurm_partition: gpu          # edit
    mem_mb: 8000 * attempt        # measured: 5000 MiB at most in 1 job
    runtime: 720 * attempt
  flow:
    mem_mb: 9 * attempt           # measured
"""
    )


def test_folders_of_rules_that_share_one():
    found = slurm_resources.rules_of_folders(ROOT / "workflow" / "rules")
    assert found["train"] == {"train"}
    assert {"evaluate", "still_evaluate"} <= found["evaluate"]
    assert {"demo", "demo_stills"} <= found["demo"]


def test_the_committed_profile_is_marked(profile):
    """The command can find every line it should, and running it twice changes nothing more."""
    text = (PROFILE / "profile.yaml").read_text(encoding="utf-8")
    taken = {rule: slurm_resources.Measured(2, 700.0, 30.0) for rule in profile["set-resources"]}
    once = slurm_resources.rewrite(text, taken, {"*": 1.0})
    assert once.count("# measured: ") == text.count("# measured")
    assert slurm_resources.rewrite(once, taken, {"*": 1.0}) == once
    assert yaml.safe_load(once)["set-resources"]["train"]["runtime"] == "720 * attempt"
