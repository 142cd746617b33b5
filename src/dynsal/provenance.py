"""What ran where: commit, versions, hardware, and the cost of every step from Snakemake's benchmark files."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd
import psutil

_PACKAGES = (
    "dynsal", "av", "h5py", "numpy", "opencv-contrib-python-headless", "pandas", "pyarrow", "pydantic", "safetensors",
    "scipy", "snakemake", "torch",
)  # fmt: skip


def commit(root: Path) -> dict[str, Any]:
    """Return the checkout's commit and whether tracked files differ from it; ``None`` outside a checkout."""

    def git(*words: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(root), *words], capture_output=True, text=True, timeout=20
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    changed = git("status", "--porcelain", "--untracked-files=no")
    return {"commit": git("rev-parse", "HEAD"), "dirty": None if changed is None else bool(changed)}


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages whose version can change a number."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def hardware() -> dict[str, Any]:
    """Return processor, usable cores and memory; scripts that use a GPU add its name."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine()
    )


def costs(folder: Path) -> pd.DataFrame:
    """Summarise Snakemake's benchmark files ``<folder>/<step>/*.tsv``: jobs, wall time and peak memory per step.

    Columns: step, jobs, wall_s (sum over jobs), longest_s, peak_mib (largest single job; NaN where Snakemake could
    not sample a job shorter than its polling interval).
    """
    rows = []
    for step in sorted(path for path in folder.glob("*") if path.is_dir()):
        tables = [pd.read_csv(path, sep="\t", na_values="-") for path in sorted(step.rglob("*.tsv"))]
        if not tables:
            continue
        jobs = pd.concat(tables)
        rows.append(
            {
                "step": step.name,
                "jobs": len(jobs),
                "wall_s": round(float(jobs["s"].sum()), 1),
                "longest_s": round(float(jobs["s"].max()), 1),
                "peak_mib": round(float(jobs["max_rss"].max()), 0),
            }
        )
    return pd.DataFrame(rows, columns=["step", "jobs", "wall_s", "longest_s", "peak_mib"])


def jobs(folder: Path) -> pd.DataFrame:
    """Return every job of Snakemake's benchmark files ``<folder>/<step>/**/<job>.tsv``, the longest first.

    Columns: step, job, wall_s, peak_mib (NaN as in `costs`), cpu_percent (mean load; 100 is one core).
    """
    names = {"s": "wall_s", "max_rss": "peak_mib", "mean_load": "cpu_percent"}
    tables = [pd.DataFrame(columns=["step", "job", *names.values()])]
    for path in sorted(folder.rglob("*.tsv")):
        step, *job = path.relative_to(folder).with_suffix("").parts
        measured = pd.read_csv(path, sep="\t", na_values="-")[list(names)].astype(float).rename(columns=names)
        measured.insert(0, "step", step)
        measured.insert(1, "job", "/".join(job))
        tables.append(measured)
    table = pd.concat(tables[1:] or tables)
    return table.sort_values("wall_s", ascending=False, kind="stable", ignore_index=True)


def initial_weights(trainings: Mapping[str, Mapping[str, Any]]) -> str:
    """Return which weights the nets started from, in words for a table's notes.

    Parameters
    ----------
    trainings
        Run -> its provenance; ``initial_weights`` in it as ``dynsal.nets.weights.describe_initial`` gives it.
    """
    runs: dict[str, list[str]] = {}
    for run, training in trainings.items():
        said = training["initial_weights"]
        text = "He (random)"
        if said["weights"] == "vggm":
            text = f"VGG-CNN-M's {', '.join(said['layers'])}, else He"
        elif said["weights"] != "he":
            text = {"salnet": "SalNet's, as the paper's"}.get(said["weights"], said["file"])
        if "sha256" in said:
            text += f" (sha256 {said['sha256']})"
        runs.setdefault(text, []).append(run)
    told = [text if len(runs) == 1 else f"{text} for {', '.join(names)}" for text, names in runs.items()]
    papers = all(training["initial_weights"]["weights"] == "salnet" for training in trainings.values())
    return "; ".join(told) + ("" if papers else "; the paper starts from SalNet's")


def record(root: Path) -> dict[str, Any]:
    """Return the whole record for one result."""
    return {**commit(root), "packages": versions(), "hardware": hardware()}
