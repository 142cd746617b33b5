"""What the tests of the workflow and of its scripts share: small checkouts, tiny videos, and running things."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

from dynsal.config import parse, stage_json

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ROOT / "workflow" / "scripts"
NEEDED = ("Snakefile", "config", "envs", "resources", "src", "workflow")

VIDEOS = ("demo_pan_98_80x64", "demo_still_99_64x64")
"""Further scenes of the demo world, as small as they come."""

TINY = {
    "dataset": {"name": "demo", "split": "demo"},
    "prepare": {"size": [32, 32]},
    "flow": {"estimator": "farneback", "bound": 2.0},
    "net": {"width": 0.0625, "coding": "log_density"},
    "train": {"loss": "kld", "optimizer": "adamw", "base_lr": 1e-3, "max_iters": 2, "batch_size": 2},
    "evaluate": {"pool_frames": 4},
    "table": {"resamples": 50},
}


def environment(**more: str) -> dict[str, str]:
    """Return the environment of a child: this Python first on the path, one thread, no mirrors."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "DYNSAL_MIRROR")}
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**kept, **threads, "PATH": path, **more}


def copy_checkout(folder: Path) -> Path:
    """Copy what a run needs of this checkout, without its results."""
    folder.mkdir(parents=True, exist_ok=True)
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", ".*")
    for name in NEEDED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=ignored)
        else:
            shutil.copy2(source, folder / name)
    return folder


def snakemake(folder: Path, *words: object, timeout: float = 300) -> SimpleNamespace:
    """Run Snakemake in a folder; returns ``rc`` and all its ``text``."""
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", *map(str, words)],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
    )
    return SimpleNamespace(rc=done.returncode, text=done.stdout)


def once(base: Path, name: str, make: Callable[[Path], object]) -> Path:
    """Return the folder ``base/name``, made by the first of several test processes that asks for it."""
    folder, failed = base / name, base / f"{name}.failed"
    with (base / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if failed.exists():
            raise RuntimeError(f"{folder} could not be made by another test process")
        if not folder.exists():
            failed.touch()
            make(folder)
            failed.unlink()
    return folder


def shared_base(tmp_path_factory) -> Path:
    """Return a folder that all processes of this test run see, and no other test run."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base


def params(*sections: str, **changes: dict) -> str:
    """Return ``--params`` as the workflow passes them, of the tiny configuration with some sections changed."""
    merged = {name: {**TINY.get(name, {}), **changes.get(name, {})} for name in {*TINY, *changes}}
    return stage_json(parse(merged), *sections)


def call(name: str, /, **arguments: object) -> None:
    """Run the work of a script in this process, to prepare something."""
    run_path(str(SCRIPTS / f"{name}.py"))["main"](Namespace(**arguments))


def command(name: str, *words: object, scripts: Path = SCRIPTS) -> list[str]:
    """Return the command line of a script."""
    return [sys.executable, str(scripts / f"{name}.py"), *map(str, words)]


def run_script(name: str, *words: object, cwd: Path, scripts: Path = SCRIPTS, **more: str) -> SimpleNamespace:
    """Run a script as a rule would, with ``more`` in its environment; returns ``rc``, the ``log``'s text, ``stderr``."""
    log = cwd / "logs" / f"{name}.log"
    done = subprocess.run(
        command(name, *words, "--log", log, scripts=scripts),
        cwd=cwd,
        env=environment(PYTHONPATH=str(scripts.parents[1] / "src"), **more),
        capture_output=True,
        text=True,
        timeout=120,
    )
    return SimpleNamespace(
        rc=done.returncode, log=log.read_text(encoding="utf-8") if log.exists() else "", stderr=done.stderr
    )


def facts(parquet: Path) -> dict:
    """Return the metadata that a gaze file carries."""
    import pyarrow.parquet as pq

    return json.loads(pq.read_schema(parquet).metadata[b"dynsal"])
