"""Trainings that several processes share: the same result as one, through interruptions too. Real torchrun, gloo."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from helpers import ROOT, environment
from hypothesis import given
from hypothesis import strategies as st

from dynsal.device import free_slot
from dynsal.errors import DataError
from dynsal.teams import ALONE, Team

JOB = Path(__file__).with_name("team_job.py")
ENV = environment(PYTHONPATH=str(ROOT / "src"))


def start(folder: Path, processes: int, **keys) -> subprocess.Popen[str]:
    """Start the toy training as so many processes."""
    folder.mkdir(exist_ok=True)
    run = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    words = [sys.executable, *(run if processes > 1 else []), str(JOB), str(folder), json.dumps(keys)]
    return subprocess.Popen(words, env=ENV, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def trained(folder: Path, processes: int, **keys) -> dict:
    """Train to the end; return weights and history."""
    run = start(folder, processes, **keys)
    text, _ = run.communicate(timeout=300)
    assert run.returncode == 0, text
    return torch.load(folder / "out.pt")


def assert_same(one: dict, other: dict, tolerance: float) -> None:
    """Compare weights, relative to the largest, and losses."""
    for name, value in one["weights"].items():
        error = (value - other["weights"][name]).abs().max() / value.abs().max().clamp_min(1e-12)
        assert error <= tolerance, f"{name}: {error}"
    for row, twin in zip(one["history"], other["history"], strict=True):
        assert row["step"] == twin["step"]
        assert row["loss"] == pytest.approx(twin["loss"], rel=max(tolerance, 1e-12))
        if row["val_loss"] is not None:
            assert row["val_loss"] == pytest.approx(twin["val_loss"], rel=max(tolerance, 1e-12))


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> dict:
    """Return what one process makes of the toy training."""
    return trained(tmp_path_factory.mktemp("alone"), 1)


@pytest.mark.slow
def test_two_processes_train_what_one_does(alone, tmp_path):
    assert_same(alone, trained(tmp_path, 2), 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_accumulated_passes_train_what_one_pass_does(alone, tmp_path, processes):
    assert_same(alone, trained(tmp_path, processes, accumulate=2), 1e-5)


@pytest.mark.slow
def test_a_signal_saves_and_the_rest_is_done_later_by_any_number(alone, tmp_path):
    """SIGTERM to torchrun, as a batch system sends it; one process goes on where two stopped."""
    run = start(tmp_path, 2, seconds=0.05, checkpoint_every=1)
    deadline = time.monotonic() + 200
    while not list((tmp_path / "ckpt").glob("*.pt")) and time.monotonic() < deadline:
        time.sleep(0.05)
    run.send_signal(signal.SIGTERM)
    text, _ = run.communicate(timeout=120)
    assert run.returncode != 0
    assert "run again to go on" in text
    assert not (tmp_path / "out.pt").exists()
    done = trained(tmp_path, 1)
    assert_same(alone, done, 1e-5)
    assert len(list((tmp_path / "ckpt").glob("*.pt"))) >= 1


@pytest.mark.slow
def test_resumed_pairs_are_the_same_to_the_last_bit(tmp_path):
    """Two processes that stop half-way and go on make what two make in one go."""
    straight = trained(tmp_path / "a", 2)
    trained(tmp_path / "b", 2, max_iters=4)
    assert_same(straight, trained(tmp_path / "b", 2), 0.0)


@pytest.mark.slow
def test_batches_that_cannot_be_shared_are_refused(tmp_path):
    run = start(tmp_path, 2, batch_size=3)
    text, _ = run.communicate(timeout=120)
    assert run.returncode != 0
    assert "3 frames cannot be cut into 2 processes x 1 passes" in text


@pytest.mark.slow
@pytest.mark.parametrize("processes", [0, 1, 2])
def test_a_script_starts_itself_again_as_several_processes(tmp_path, processes):
    """With the very options of the training scripts, some of which look like abbreviations of torchrun's."""
    script = tmp_path / "script.py"
    script.write_text(
        "import os, pathlib, sys\n"
        "from dynsal.teams import share_out\n"
        f"share_out({processes})\n"
        "rank = os.environ.get('RANK', 'alone')\n"
        "pathlib.Path(sys.argv[0]).with_name(rank).write_text(' '.join(sys.argv[1:]))\n"
    )
    words = ["--log", "a b", "--name", "x", "--out", "y", "--processes", str(processes)]
    done = subprocess.run([sys.executable, str(script), *words], env=ENV, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    ranks = [str(rank) for rank in range(processes)] if processes > 1 else ["alone"]
    assert sorted(path.name for path in tmp_path.iterdir() if path != script) == ranks
    for rank in ranks:
        assert (tmp_path / rank).read_text() == " ".join(words)


@given(st.lists(st.integers(), min_size=1, max_size=40), st.integers(1, 5))
def test_parts_make_up_the_batch(batch, size):
    parts = [Team(rank, size).part(batch) for rank in range(size)]
    assert sorted(item for part in parts for item in part) == sorted(batch)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_process_by_itself_needs_no_group():
    assert ALONE.leads
    assert ALONE.share("x") == "x"
    assert ALONE.total([1.5]) == [1.5]
    assert ALONE.any(True)
    assert not ALONE.any(False)
    net = torch.nn.Linear(1, 1)
    assert ALONE.wrap(net) is net
    with pytest.raises(DataError, match="cannot be cut"):
        ALONE.require_equal_parts(2, 3)


def test_no_two_trainings_get_the_same_slot(tmp_path):
    """Two slots: a third process waits, and gets the slot of one that was killed."""
    code = (
        "import sys, time; from pathlib import Path; from dynsal.device import free_slot\n"
        "with free_slot(2, Path(sys.argv[1]), 0.05) as n: print(n, flush=True); time.sleep(100)"
    )
    words = [sys.executable, "-c", code, str(tmp_path)]
    first = subprocess.Popen(words, env=ENV, stdout=subprocess.PIPE, text=True)
    second = subprocess.Popen(words, env=ENV, stdout=subprocess.PIPE, text=True)
    try:
        numbers = [int(run.stdout.readline()) for run in (first, second)]
        assert sorted(numbers) == [0, 1]
        third = subprocess.Popen(words, env=ENV, stdout=subprocess.PIPE, text=True)
        try:
            first.kill()
            assert int(third.stdout.readline()) == numbers[0]
        finally:
            third.kill()
    finally:
        first.kill()
        second.kill()


def test_a_slot_is_free_again_after_the_block(tmp_path):
    with free_slot(1, tmp_path) as number:
        assert number == 0
    with free_slot(1, tmp_path) as number:
        assert number == 0
