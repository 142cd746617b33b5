"""What the tests on SLURM share: the small chain, the real profile with small numbers, and running Snakemake with it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import yaml
from helpers import ROOT, copy_checkout, environment
from slurm_cluster import Cluster

CONFIG = {
    "dataset": {
        "name": "demo",
        "split": "demo",
        "only": ["demo_pan_03_480x360", "demo_crowd_05_480x360", "demo_pan_06_640x360"],
    },
    "prepare": {"size": [64, 48], "frame_step": 6},
    "flow": {"estimator": "farneback", "bound": 2.0},
    "net": {"width": 0.0625, "coding": "log_density"},
    "train": {"loss": "kld", "optimizer": "adamw", "base_lr": 1.0e-3, "max_iters": 600, "batch_size": 2,
              "checkpoint_every": 20},
    "models": {"early": {"arch": "early"}},
    "evaluate": {"pool_frames": 5},
    "table": {"resamples": 100},
}  # fmt: skip
TABLE = "results/table1.csv"
MODEL = "results/demo/models/early/seed0/model.safetensors"
CHECKPOINTS = "results/demo/checkpoints/early/seed0"
LOCALLY = ("--cores", 8, "--jobs", 2, "--set-threads", "train=1")
"""The same threads as on the cluster: their number can change the last digit."""
PROFILE = ROOT / "profiles" / "slurm"

_SMALL = {
    "jobs": 2,  # the nodes claim more processors than there are
    "latency-wait": 10,
    "slurm-init-seconds-before-status-checks": 5,
    "max-status-checks-per-second": 1,
    "set-threads": {"train": 1},  # several threads that share a processor mostly wait for each other
}


def write_profile(folder: Path, **changes: object) -> Path:
    """Write the real profile with the test's numbers; ``set_resources`` goes into the rules' own entries."""
    profile = yaml.safe_load((PROFILE / "profile.yaml").read_text(encoding="utf-8"))
    resources = changes.pop("set_resources", {})
    profile |= _SMALL | {name.replace("_", "-"): value for name, value in changes.items()}
    for rule, values in resources.items():
        profile["set-resources"][rule] |= values
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "profile.yaml").write_text(yaml.safe_dump(profile, sort_keys=False), encoding="utf-8")
    return folder


def prepare_folder(folder: Path, config: dict[str, object] = CONFIG) -> Path:
    """Copy the checkout, with the small configuration as ``mine.yaml``."""
    copy_checkout(folder)
    (folder / "mine.yaml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return folder


class Run:
    """Snakemake on a cluster, in the background; its output goes to ``<folder>/<name>.log``."""

    def __init__(self, cluster: Cluster, folder: Path, profile: Path, *targets: str, name: str) -> None:
        self.log = folder / f"{name}.log"
        path = os.pathsep.join([str(PROFILE / "bin"), environment()["PATH"]])
        words = [
            sys.executable,
            "-m",
            "snakemake",
            "--workflow-profile",
            str(profile),
            "--configfile",
            "mine.yaml",
        ]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [*words, "--", *targets],
                cwd=folder,
                env={
                    **environment(),
                    "PATH": path,
                    "SLURM_CONF": str(cluster.conf),
                    "DYNSAL_SLURM_CONF": str(cluster.conf),
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def wait(self, seconds: float = 300) -> int:
        """Return the exit status.

        Raises
        ------
        TimeoutError
            If it hangs, which is how most faults show.
        """
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise TimeoutError(
                f"snakemake is still running after {seconds:g} s:\n{self.text()[-3000:]}"
            ) from None

    def stop(self) -> None:
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def job_ids(self) -> list[str]:
        """Return the SLURM jobs of this run, in the order of submission."""
        return re.findall(r"SLURM jobid (\d+)", self.text())


@contextlib.contextmanager
def running(cluster: Cluster, folder: Path, profile: Path, *targets: str, name: str = "run") -> Iterator[Run]:
    """Start Snakemake; at the end of the block nothing of it is left, nor of its jobs."""
    run = Run(cluster, folder, profile, *targets, name=name)
    try:
        yield run
    finally:
        run.stop()
        alive = [job.id for job in cluster.jobs() if job.state in ("RUNNING", "PENDING", "SUSPENDED")]
        if alive:
            cluster.call("scancel", *alive)


def newest_step(folder: Path) -> int:
    """Return the step of the newest checkpoint, 0 if there is none."""
    steps = [int(path.stem.removeprefix("step-")) for path in (folder / CHECKPOINTS).glob("step-*.pt")]
    return max(steps, default=0)


def wait_for_step(run: Run, folder: Path, step: int, seconds: float = 180) -> None:
    """Wait until training has saved a step; raises AssertionError if Snakemake ends before."""
    end = time.monotonic() + seconds
    while newest_step(folder) < step:
        assert run.process.poll() is None, run.text()[-3000:]
        assert time.monotonic() < end, run.text()[-3000:]
        time.sleep(0.05)
