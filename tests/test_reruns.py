"""A small chain, run for real: what runs again after a change, after a kill, and in another folder."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from helpers import copy_checkout, environment, once, shared_base, snakemake

pytestmark = pytest.mark.slow

CONFIG = {
    "dataset": {
        "name": "demo",
        "split": "demo",
        "only": ["demo_pan_03_480x360", "demo_still_02_480x360", "demo_crowd_05_480x360", "demo_pan_06_640x360"],
    },
    "prepare": {"size": [64, 48], "frame_step": 6},
    "flow": {"estimator": "farneback", "bound": 2.0},
    "net": {"width": 0.0625, "coding": "log_density"},
    "train": {"loss": "kld", "optimizer": "adamw", "base_lr": 1.0e-3, "max_iters": 30, "batch_size": 2,
              "checkpoint_every": 5},
    "models": {"early": {"arch": "early"}},
    "evaluate": {"pool_frames": 5},
    "table": {"resamples": 100},
}  # fmt: skip
MODEL = "results/demo/models/early/seed0/model.safetensors"
TABLES = ("table1.csv", "table1_differences.csv", "table1_per_video.csv", "table1.md")
RUN = ("--cores", 1, "--configfile", "mine.yaml")


def write(folder: Path, config: dict) -> None:
    (folder / "mine.yaml").write_text(yaml.safe_dump(config, sort_keys=False))


def changed(section: str, **values) -> dict:
    return {**CONFIG, section: {**CONFIG[section], **values}}


def run_chain(folder: Path) -> None:
    copy_checkout(folder)
    write(folder, CONFIG)
    done = snakemake(folder, *RUN, "--", "results/table1.csv")
    assert done.rc == 0, done.text


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Path:
    """Return a folder in which the chain ran to its end without a disturbance."""
    return once(shared_base(tmp_path_factory), "chain", run_chain)


@pytest.fixture
def chain(finished) -> Iterator[Path]:
    """Return that folder to one test at a time; with its configuration as it was."""
    with (finished / "test.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        write(finished, CONFIG)
        yield finished
        write(finished, CONFIG)


def planned(folder: Path) -> set[str]:
    """Return the names of the rules that would run."""
    done = snakemake(
        folder, "-n", "--quiet", "rules", "--configfile", "mine.yaml", "--", "results/table1.csv"
    )
    assert done.rc == 0, done.text
    if "Nothing to be done" in done.text:
        return set()
    rules = set(re.findall(r"^(\w+) +\d+$", done.text, re.MULTILINE))
    assert "total" in rules, done.text
    return rules - {"total"}


@contextlib.contextmanager
def edited(path: Path) -> Iterator[None]:
    """Add a line of code to a file, and take it back."""
    before = path.read_text()
    path.write_text(before + "\n_EDITED = True\n")
    try:
        yield
    finally:
        path.write_text(before)


# ---- what runs again ------------------------------------------------------------------------------------------------


def test_nothing_runs_again(chain):
    """Not at once, not after every source file was touched, not for a comment or another order of keys."""
    assert planned(chain) == set()
    for top in ("Snakefile", "src", "workflow", "config", "mine.yaml"):
        for path in [chain / top, *(chain / top).rglob("*")]:
            if path.is_file() and "__pycache__" not in path.parts:
                path.touch()
    with edited(chain / "src" / "dynsal" / "flow.py"):
        pass  # edited, and put back
    assert planned(chain) == set()
    backwards = {name: dict(reversed(values.items())) for name, values in reversed(CONFIG.items())}
    backwards |= {"seeds": [0], "gaze": {"sigma_deg": 1.0}}  # defaults, spelt out
    text = "# A comment.\n" + yaml.safe_dump(backwards, sort_keys=False)
    assert text.index("resamples") < text.index("base_lr")
    (chain / "mine.yaml").write_text(text)
    assert planned(chain) == set()


AFTER_TRAINING = {"train", "evaluate", "table1_of", "publish_table1"}


@pytest.mark.parametrize(
    ("section", "values", "expected"),
    [
        ("train", {"base_lr": 2.0e-3}, AFTER_TRAINING),
        ("flow", {"bound": 3.0}, AFTER_TRAINING),
        ("evaluate", {"pool_frames": 6}, {"floors", "evaluate", "table1_of", "publish_table1"}),
        ("table", {"resamples": 200}, {"table1_of", "publish_table1"}),
        ("flow", {"estimator": "dis"}, AFTER_TRAINING | {"flow"}),
        ("prepare", {"jpeg_quality": 90}, AFTER_TRAINING | {"rescale", "flow", "gaze", "floors"}),
    ],
)
def test_a_changed_value(chain, section, values, expected):
    """Exactly the steps that use it, and those after them."""
    write(chain, changed(section, **values))
    assert planned(chain) == expected


@pytest.mark.parametrize(
    ("module", "runs", "rests"),
    [
        ("figures/style.py", set(), AFTER_TRAINING | {"rescale", "flow", "gaze", "floors"}),
        ("nets/salnet.py", AFTER_TRAINING, {"rescale", "flow", "gaze", "floors"}),
        ("tables.py", {"table1_of"}, {"train", "evaluate", "floors", "flow"}),
        ("flow.py", {"flow", "train"}, {"rescale", "gaze"}),
        ("datasets/diem.py", {"rescale", "gaze", "flow"}, set()),
        ("config.py", set(), AFTER_TRAINING | {"rescale", "flow", "gaze", "floors"}),
    ],
)
def test_an_edited_module(chain, module, runs, rests):
    """The steps whose code it is run again, and no others."""
    with edited(chain / "src" / "dynsal" / module):
        found = planned(chain)
    assert runs <= found
    assert not rests & found


def test_a_new_seed_keeps_the_old(chain):
    write(chain, {**CONFIG, "seeds": [0, 1]})
    done = snakemake(chain, "-n", "--configfile", "mine.yaml", "--", "results/table1.csv")
    assert done.text.count("\nrule train:") == 1
    assert "early/seed1/model.safetensors" in done.text


# ---- kill -9, and once more elsewhere -------------------------------------------------------------------------------


def test_killed_and_run_again(finished, tmp_path):
    """Killed in the middle of training, the second run resumes; model and tables are those of the undisturbed run.

    The chain runs from the videos on in another folder, so this also shows that nothing depends on the folder.
    """
    folder = copy_checkout(tmp_path / "elsewhere")
    write(folder, CONFIG)
    words = [sys.executable, "-m", "snakemake", *map(str, RUN), "--", "results/table1.csv"]
    checkpoints = folder / "results" / "demo" / "checkpoints" / "early" / "seed0"
    with (
        (folder / "first.log").open("w") as log,
        subprocess.Popen(
            words, cwd=folder, env=environment(), stdout=log, stderr=log, start_new_session=True
        ) as process,
    ):
        deadline = time.monotonic() + 240
        while not (steps := list(checkpoints.glob("step-*.pt"))):
            assert process.poll() is None, (folder / "first.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not (folder / MODEL).exists()
    steps = sorted(int(path.stem.removeprefix("step-")) for path in checkpoints.glob("step-*.pt"))
    assert 0 < steps[-1] < CONFIG["train"]["max_iters"], "too late: make the training longer"
    done = snakemake(folder, "--unlock", *RUN)
    assert done.rc == 0, done.text
    done = snakemake(folder, *RUN, "--rerun-incomplete", "--", "results/table1.csv")
    assert done.rc == 0, done.text
    log = (folder / "logs" / "demo" / "train" / "early.seed0.log").read_text()
    assert re.search(rf"resuming at step {steps[-1]} of {CONFIG['train']['max_iters']}", log)
    assert (folder / MODEL).read_bytes() == (finished / MODEL).read_bytes()
    for name in TABLES:
        assert (folder / "results" / "demo" / name).read_text() == (
            finished / "results" / "demo" / name
        ).read_text()
    for path in sorted((finished / "results" / "demo").rglob("*")):
        if path.suffix in (".h5", ".parquet", ".mp4"):
            other = folder / path.relative_to(finished)
            assert other.read_bytes() == path.read_bytes(), other
    assert not planned(folder)
    shutil.rmtree(folder)
