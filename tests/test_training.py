"""The training loop: it learns, and no interruption changes what it learns."""

from __future__ import annotations

import errno
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from dynsal.batches import BatchOrder, StepSampler, in_order
from dynsal.checkpoints import locked, random_state, restore_random_state
from dynsal.config import FlowConfig, LiteConfig, NetConfig, TrainConfig
from dynsal.errors import DataError
from dynsal.losses import saliency_objective
from dynsal.nets import build
from dynsal.schedule import learning_rate, make_optimizer, set_rate
from dynsal.training import Job, Outcome, train

NET = NetConfig(width=1 / 16)
MEAN = {"loss_reduction": "mean", "base_lr": 2e-3, "schedule": "constant"}
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _one_thread():
    """Nets this small are slower on two threads, and much slower where others compute too."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Toy:
    """Samples of two resolutions: a bright square that moves, and people look at it."""

    def __init__(self, count: int = 10, sides: tuple[int, ...] = (32, 16), seconds: float = 0.0) -> None:
        self.sides = [sides[i % len(sides)] for i in range(count)]
        self.groups = [[i for i, side in enumerate(self.sides) if side == one] for one in sides]
        self.seconds = seconds
        self.bad: tuple[int, ...] = ()
        self.broken: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.sides)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        time.sleep(self.seconds)
        if index in self.broken:
            raise DataError("clip.h5", f"frame {index} does not decode", "Make it again")
        rng = np.random.default_rng(index)
        side = self.sides[index]
        x, y = rng.integers(3, side - 3, 2)
        frame = rng.integers(0, 60, (3, side, side), np.uint8)
        frame[:, y - 3 : y + 3, x - 3 : x + 3] = 250
        flow = np.zeros((2, side, side), np.float16)
        flow[:, y - 3 : y + 3, x - 3 : x + 3] = 10
        grid = np.mgrid[:side, :side]
        density = np.exp(-((grid[1] - x) ** 2 + (grid[0] - y) ** 2) / 18.0)
        if index in self.bad:
            density[0, 0] = np.nan
        fixations = np.zeros((1, side, side), np.uint8)
        fixations[0, y, x] = 2
        return {
            "frame": torch.from_numpy(frame),
            "flow": torch.from_numpy(flow),
            "density": torch.from_numpy((density / density.sum()).astype(np.float32)[None]),
            "fixations": torch.from_numpy(fixations),
        }


def make_job(folder: Path, net: NetConfig = NET, fingerprint: str = "f", workers: int = 0, **keys) -> Job:
    keys = {"max_iters": 12, "checkpoint_every": 3, "validate_every": 4, **MEAN, **keys}
    config = TrainConfig(**keys)
    objective = saliency_objective(config, net, FlowConfig())
    return Job(config, objective, 0, folder / "ckpt", fingerprint, CPU, workers)


def fit(
    job: Job,
    data: Toy | None = None,
    validation: Toy | None = None,
    net_cfg: NetConfig = NET,
    arch: str = "early",
) -> tuple[torch.nn.Module, Outcome]:
    net = build(arch, net_cfg, seed=job.seed)
    outcome = train(net, Toy() if data is None else data, job, validation)
    return net, outcome


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    return all(torch.equal(value, b.state_dict()[name]) for name, value in a.state_dict().items())


def steps_kept(folder: Path) -> list[int]:
    return sorted(int(path.stem.split("-")[1]) for path in (folder / "ckpt").glob("step-*.pt"))


def numbers(outcome: Outcome) -> list[tuple]:
    """Return the columns of a history that do not depend on the clock."""
    return [(row["step"], row["lr"], row["loss"], row["val_loss"]) for row in outcome.history]


class Stopped(Exception):
    """Stands for the death of the process."""


class Dying(Toy):
    """Dies while loading the n-th sample."""

    def __init__(self, after: int, **keys) -> None:
        super().__init__(**keys)
        self.left = after

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        self.left -= 1
        if self.left < 0:
            raise Stopped
        return super().__getitem__(index)


# --- it learns ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("net", "keys"),
    [
        (NET, {"base_lr": 2e-2}),
        (NetConfig(width=1 / 16, coding="log_density"), {"loss": "kld_cc_nss", "optimizer": "adamw"}),
    ],
)
def test_loss_falls_on_two_clips(tmp_path, net, keys):
    job = make_job(tmp_path, net, max_iters=60, checkpoint_every=100, **keys)
    _, outcome = fit(job, Toy(2, (32,)))
    losses = [row["loss"] for row in outcome.history]
    assert len(losses) == 60
    assert np.mean(losses[-5:]) < 0.7 * losses[0]


def test_history_says_where_the_time_went(tmp_path):
    _, outcome = fit(make_job(tmp_path, max_iters=4), Toy(seconds=0.05))
    row = outcome.history[-1]
    assert row["step"] == 4
    assert row["wait_seconds"] == pytest.approx(0.1, abs=0.05)
    assert row["seconds"] > row["wait_seconds"]
    assert row["samples_per_second"] == pytest.approx(2 / row["seconds"], rel=0.05)
    assert outcome.history[-1]["val_loss"] is None
    lines = (tmp_path / "ckpt/history.csv").read_text().splitlines()
    assert lines[0] == "step,lr,loss,val_loss,seconds,wait_seconds,samples_per_second"
    assert len(lines) == 5


# --- resuming ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("workers", "keys"),
    [
        (0, {}),
        (1, {}),
        (0, {"optimizer": "adamw", "grad_clip": 1.0, "schedule": "cosine", "warmup_iters": 5}),
        (0, {"channels_last": False, "keep": "best"}),
    ],
)
def test_resumed_equals_straight_bit_for_bit(tmp_path, workers, keys):
    validation = Toy(5)
    straight, expected = fit(make_job(tmp_path / "straight", **keys), validation=validation)
    job = make_job(tmp_path / "resumed", workers=workers, **keys)
    with pytest.raises((Stopped, RuntimeError)):
        fit(job, Dying(17), validation)  # dies after step 8
    assert 6 in steps_kept(tmp_path / "resumed")
    assert 12 not in steps_kept(tmp_path / "resumed")
    resumed, outcome = fit(job, validation=validation)
    assert same(straight, resumed)
    assert numbers(outcome) == numbers(expected)
    assert (outcome.step, outcome.best_score) == (expected.step, expected.best_score)


def test_resumed_equals_straight_with_dropout_and_mirrors(tmp_path):
    """Both draw random numbers while they train; what is not trained stays as it was."""
    net_cfg = NetConfig(coding="log_density", lite=LiteConfig(dropout=0.5))
    keys = {"loss": "kld_cc_nss", "optimizer": "adamw", "flip": True}
    straight, expected = fit(make_job(tmp_path / "straight", net_cfg, **keys), None, None, net_cfg, "lite")
    job = make_job(tmp_path / "resumed", net_cfg, **keys)
    with pytest.raises(Stopped):
        fit(job, Dying(17), None, net_cfg, "lite")
    resumed, outcome = fit(job, None, None, net_cfg, "lite")
    assert same(straight, resumed)
    assert numbers(outcome) == numbers(expected)
    fresh = build("lite", net_cfg)
    assert same(fresh.backbone, resumed.backbone)
    assert not same(fresh.head, resumed.head)


def test_loss_between_rows_survives_an_interruption(tmp_path):
    """With rows further apart than checkpoints, the unfinished mean is part of the checkpoint."""
    keys = {"max_iters": 400, "checkpoint_every": 101}  # rows at even steps, a checkpoint at an odd one
    net = NetConfig(width=1 / 96)
    _, expected = fit(make_job(tmp_path / "a", net, **keys), Toy(4, (8,)), net_cfg=net)
    job = make_job(tmp_path / "b", net, **keys)
    with pytest.raises(Stopped):
        fit(job, Dying(2 * 150, count=4, sides=(8,)), net_cfg=net)
    assert steps_kept(tmp_path / "b") == [101]
    _, outcome = fit(job, Toy(4, (8,)), net_cfg=net)
    assert numbers(outcome) == numbers(expected)
    assert [row["step"] for row in outcome.history] == list(range(2, 401, 2))


def test_finished_training_returns_at_once(tmp_path):
    job = make_job(tmp_path)
    first, expected = fit(job)
    again, outcome = fit(job, Dying(0))
    assert same(first, again)
    assert outcome == expected
    assert not again.training


def test_only_the_last_two_checkpoints_are_kept(tmp_path):
    fit(make_job(tmp_path, max_iters=11, checkpoint_every=2))
    assert steps_kept(tmp_path) == [10, 11]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ckpt", "ckpt.lock"]


def test_damaged_newest_checkpoint_falls_back_to_the_one_before(tmp_path, caplog):
    straight, expected = fit(make_job(tmp_path / "straight"))
    job = make_job(tmp_path / "resumed")
    fit(job)
    newest = tmp_path / "resumed/ckpt/step-00000012.pt"
    newest.write_bytes(newest.read_bytes()[:-2000])
    resumed, outcome = fit(job)
    assert "damaged" in caplog.text
    assert same(straight, resumed)
    assert numbers(outcome) == numbers(expected)


def test_all_checkpoints_damaged_begins_again(tmp_path):
    job = make_job(tmp_path)
    straight, expected = fit(job)
    for path in (tmp_path / "ckpt").glob("*.pt"):
        path.write_bytes(b"")
    again, outcome = fit(job)
    assert same(straight, again)
    assert numbers(outcome) == numbers(expected)


def test_half_written_files_are_ignored_and_removed(tmp_path):
    job = make_job(tmp_path)
    fit(job)
    (tmp_path / "ckpt/.step-00000099.pt.123.part").write_bytes(b"half")
    with (tmp_path / "ckpt/history.csv").open("a") as stream:
        stream.write("13,0.0")
    _, outcome = fit(job)
    assert len(outcome.history) == 12
    assert not list((tmp_path / "ckpt").glob(".*.part"))
    assert len((tmp_path / "ckpt/history.csv").read_text().splitlines()) == 13


def test_other_fingerprint_moves_the_folder_aside_and_says_so(tmp_path, caplog):
    for fingerprint in ("one", "two", "three"):
        job = make_job(tmp_path, fingerprint=fingerprint, max_iters=3)
        net, outcome = fit(job)
    assert [row["step"] for row in outcome.history] == [1, 2, 3]
    assert caplog.text.count("begin again") == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ckpt", "ckpt.lock", "ckpt.stale-1", "ckpt.stale-2"]
    assert same(net, fit(make_job(tmp_path / "fresh", max_iters=3))[0])


def test_a_folder_in_use_is_refused(tmp_path):
    job = make_job(tmp_path)
    with (
        locked(job.checkpoints, "f"),
        pytest.raises(DataError, match=rf"ckpt: is in use by process {os.getpid()} on .*Wait for it"),
    ):
        fit(job)
    fit(job)


def test_full_disk_names_the_file_and_keeps_the_last_checkpoint(tmp_path, monkeypatch):
    job = make_job(tmp_path)
    saved = torch.save

    def full(state, path):
        if state["step"] == 6:
            raise OSError(errno.ENOSPC, "No space left on device")
        saved(state, path)

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(DataError, match=r"step-00000006\.pt: no space left"):
        fit(job)
    assert steps_kept(tmp_path) == [3]


# --- real processes and signals -----------------------------------------------------------------------------------

CHILD = """
import logging, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import torch
torch.set_num_threads(1)
from test_training import Toy, fit, make_job
from dynsal.nets.weights import save_model
logging.basicConfig(level=logging.INFO)
folder = Path(sys.argv[1])
net, outcome = fit(make_job(folder, workers=int(sys.argv[2]), max_iters=30), Toy(seconds=float(sys.argv[3])))
save_model(folder / "model.safetensors", net, {{"arch": "early", "net": {{}}}})
"""


def spawn(folder: Path, workers: int = 0, seconds: float = 0.0) -> subprocess.Popen[str]:
    code = CHILD.format(tests=str(Path(__file__).parent))
    command = [sys.executable, "-c", code, str(folder), str(workers), str(seconds)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)


def wait_for_step(folder: Path, step: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not steps_kept(folder) or steps_kept(folder)[-1] < step:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline, "the training did not get anywhere"
        time.sleep(0.01)


def finish(folder: Path, workers: int = 0) -> bytes:
    process = spawn(folder, workers)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    return (folder / "model.safetensors").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 1])
def test_kill_9_and_rerun_gives_the_identical_model(tmp_path, workers):
    expected = finish(tmp_path / "straight")
    process = spawn(tmp_path / "killed", workers, 0.02)
    wait_for_step(tmp_path / "killed", 6, process)
    process.kill()  # the workers live on for some seconds, without the lock
    process.communicate()
    assert not (tmp_path / "killed/model.safetensors").exists()
    assert finish(tmp_path / "killed", workers) == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "workers", "code"), [(signal.SIGTERM, 1, 143), (signal.SIGUSR1, 0, 128 + signal.SIGUSR1)]
)
def test_signal_to_the_group_saves_and_stops(tmp_path, kind, workers, code):
    process = spawn(tmp_path, workers, 0.02)
    wait_for_step(tmp_path, 3, process)
    os.killpg(process.pid, kind)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code, errors
    kept = steps_kept(tmp_path)
    assert 3 <= kept[-1] < 30
    assert f"saved step {kept[-1]} and stop" in errors
    with locked(tmp_path / "ckpt", "f") as store:
        assert store.resume()["step"] == kept[-1]


@pytest.mark.slow
def test_a_failed_training_with_workers_does_not_keep_the_process_from_ending(tmp_path):
    code = CHILD.format(tests=str(Path(__file__).parent)).replace("Toy(seconds", "Dying(9, seconds")
    code = code.replace("import Toy", "import Dying").replace("net, outcome", "try:\n    net, outcome", 1)
    code = code.split("save_model(folder")[0] + "except BaseException as error:\n    kept = error\n"
    command = [sys.executable, "-c", code, str(tmp_path), "1", "0"]
    assert subprocess.run(command, timeout=60, check=False).returncode == 0


def test_sigterm_saves_between_checkpoints_and_the_rest_is_the_same(tmp_path):
    class Signalling(Dying):
        def __getitem__(self, index):
            try:
                return super().__getitem__(index)
            except Stopped:
                os.kill(os.getpid(), signal.SIGTERM)
                return Toy.__getitem__(self, index)

    handler = signal.getsignal(signal.SIGTERM)
    straight, expected = fit(make_job(tmp_path / "straight", checkpoint_every=100))
    job = make_job(tmp_path / "resumed", checkpoint_every=100)
    with pytest.raises(SystemExit) as caught:
        fit(job, Signalling(9))
    assert caught.value.code == 143
    assert steps_kept(tmp_path / "resumed") == [5]
    assert signal.getsignal(signal.SIGTERM) is handler
    resumed, outcome = fit(job)
    assert same(straight, resumed)
    assert numbers(outcome) == numbers(expected)


# --- errors ------------------------------------------------------------------------------------------------------


def test_non_finite_loss_names_its_step_and_the_remedy(tmp_path):
    data = Toy(6, (16,))
    data.bad = (3,)
    order = BatchOrder(data.groups, 2, 0)
    step = next(step for step in range(3) if 3 in order.batch(step)) + 1
    with pytest.raises(DataError, match=rf"the loss of step {step} is nan.*base_lr"):
        fit(make_job(tmp_path, checkpoint_every=1), data)
    assert all(kept < step for kept in steps_kept(tmp_path))


@pytest.mark.parametrize("workers", [0, 1])
def test_errors_of_the_data_arrive_in_one_line(tmp_path, workers):
    data = Toy()
    data.broken = (4,)
    with pytest.raises(DataError) as caught:
        fit(make_job(tmp_path, workers=workers), data)
    assert str(caught.value) == "clip.h5: frame 4 does not decode. Make it again"


def test_no_samples(tmp_path):
    with pytest.raises(ValueError, match="no samples"):
        fit(make_job(tmp_path), Toy(0))


def test_keep_best_needs_validation(tmp_path):
    with pytest.raises(ValueError, match="needs validation"):
        fit(make_job(tmp_path, keep="best"))


# --- validation --------------------------------------------------------------------------------------------------


def test_keep_best_returns_the_weights_of_the_lowest_validation_loss(tmp_path):
    # A rate that jumps to an absurd height after the fourth step: later validations are worse.
    keys = {"schedule": "step", "lr_step_iters": 4, "lr_gamma": 1.0, "keep": "best"}
    best, outcome = fit(
        make_job(tmp_path / "best", max_iters=24, base_lr=0.5, grad_clip=0.5, **keys), None, Toy(6)
    )
    scores = {row["step"]: row["val_loss"] for row in outcome.history if row["val_loss"] is not None}
    assert sorted(scores) == [4, 8, 12, 16, 20, 24]
    assert outcome.step == min(scores, key=scores.get)
    assert outcome.best_score == min(scores.values())
    assert outcome.step in steps_kept(tmp_path / "best")
    assert len(steps_kept(tmp_path / "best")) <= 4
    state = torch.load(tmp_path / f"best/ckpt/step-{outcome.step:08d}.pt", weights_only=True)
    assert all(torch.equal(state["weights"][name], value) for name, value in best.state_dict().items())


def test_lost_best_checkpoint_is_an_error_that_says_what_to_do(tmp_path):
    job = make_job(tmp_path, keep="best", max_iters=24, base_lr=0.5, grad_clip=0.5)
    _, outcome = fit(job, None, Toy(6))
    (tmp_path / f"ckpt/step-{outcome.step:08d}.pt").write_bytes(b"")
    if outcome.step == 24:
        pytest.skip("the last step is the best")
    with pytest.raises(DataError, match="the best checkpoint is lost"):
        fit(job, None, Toy(6))


def test_validation_takes_evenly_spaced_frames_and_changes_no_weights(tmp_path):
    class Watching(Toy):
        seen: list[int] = []  # noqa: RUF012

        def __getitem__(self, index):
            self.seen.append(index)
            return super().__getitem__(index)

    validation = Watching(11)
    with_validation, outcome = fit(make_job(tmp_path / "a", validation_frames=6), None, validation)
    assert sorted(validation.seen) == sorted([0, 2, 4, 6, 8, 10] * 3)
    assert same(with_validation, fit(make_job(tmp_path / "b"))[0])
    unseen = fit(make_job(tmp_path / "c", validation_frames=0), None, validation)[1]
    assert all(row["val_loss"] is None for row in unseen.history)
    assert outcome.best_score is None  # only keep=best looks for it


# --- order, schedule, state ---------------------------------------------------------------------------------------

GROUPS = [list(range(0, 40)), list(range(40, 53)), [53]]


def test_batches_never_mix_resolutions_and_an_epoch_has_each_sample_once():
    order = BatchOrder(GROUPS, 4, seed=1)
    assert order.steps_per_epoch == 10 + 4 + 1
    for epoch in range(3):
        batches = [order.batch(epoch * 15 + step) for step in range(15)]
        assert all(any(set(batch) <= set(group) for group in GROUPS) for batch in batches)
        assert all(len(batch) == 4 for batch in batches)
        assert {index for batch in batches for index in batch} == set(range(54))
        assert sum(batch == [53] * 4 for batch in batches) == 1
        assert sum(len(batch) for batch in batches) - 54 == 3 + 3  # what fills up the last batches


def test_order_is_a_pure_function_of_seed_and_step():
    order = BatchOrder(GROUPS, 4, seed=1)
    straight = [order.batch(step) for step in range(40)]
    assert [BatchOrder(GROUPS, 4, seed=1).batch(step) for step in reversed(range(40))] == straight[::-1]
    assert list(StepSampler(order, 17, 40)) == straight[17:]
    assert len(StepSampler(order, 17, 40)) == 23
    assert straight[:15] != straight[15:30]
    assert [BatchOrder(GROUPS, 4, seed=2).batch(step) for step in range(40)] != straight


def test_order_of_a_large_set_costs_nothing():
    order = BatchOrder([range(300_000), range(300_000, 500_000), range(500_000, 600_000)], 2, seed=0)
    start = time.perf_counter()
    for step in range(1000, 2000):
        order.batch(step)
    assert time.perf_counter() - start < 1.0


def test_in_order_keeps_resolutions_apart():
    assert in_order([[0, 2, 4], [1, 3]], 2) == [[0, 2], [4], [1, 3]]


def test_learning_rates():
    step = TrainConfig(base_lr=1.0, schedule="step", lr_step_iters=10, lr_gamma=0.1)
    assert [learning_rate(i, step) for i in (0, 9, 10, 25)] == pytest.approx([1, 1, 0.1, 0.01])
    cosine = TrainConfig(base_lr=1.0, schedule="cosine", warmup_iters=4, max_iters=104)
    assert [learning_rate(i, cosine) for i in (0, 3, 4, 54, 104)] == pytest.approx([0.25, 1, 1, 0.5, 0])
    constant = TrainConfig(base_lr=1.0, schedule="constant", warmup_iters=2)
    assert [learning_rate(i, constant) for i in (0, 1, 9999)] == [0.5, 1, 1]


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
def test_parameters_with_factors_learn_at_their_own_rates(kind):
    """Two groups end where two optimisers of their own, at their own rates, end."""
    steps, config = 5, TrainConfig(optimizer=kind, base_lr=0.1, schedule="cosine", max_iters=5)
    starts = [torch.tensor([1.0, -2.0]), torch.tensor([3.0])]
    together = [torch.nn.Parameter(start.clone()) for start in starts]
    together[1].rate_factor = 0.25
    alone = [torch.nn.Parameter(start.clone()) for start in starts]
    optimizers = [make_optimizer([parameter], config) for parameter in alone]
    both = make_optimizer(together, config)
    for step in range(steps):
        for parameters, each in ((together, [both]), (alone, optimizers)):
            sum(parameter.pow(2).sum() for parameter in parameters).backward()
            for optimizer, factor in zip(each, (1.0, 0.25), strict=False):
                alone_factor = factor if each is optimizers else 1.0
                set_rate(optimizer, alone_factor * learning_rate(step, config))
                optimizer.step()
                optimizer.zero_grad()
    assert [parameter.tolist() for parameter in together] == [parameter.tolist() for parameter in alone]
    assert not torch.equal(together[1], starts[1])
    rates = [group["lr"] for group in both.param_groups]
    assert rates[1] == rates[0] / 4 > 0
    older = both.state_dict()
    for group in older["param_groups"]:
        del group["rate_factor"]
    both.load_state_dict(older)
    set_rate(both, 2.0)
    assert [group["lr"] for group in both.param_groups] == [2.0, 2.0]


def test_random_states_survive_safe_loading(tmp_path):
    import random

    torch.save(random_state(), tmp_path / "rng.pt")
    expected = (random.random(), np.random.rand(), torch.rand(1))  # noqa: NPY002
    restore_random_state(torch.load(tmp_path / "rng.pt", weights_only=True))
    assert (random.random(), np.random.rand(), torch.rand(1)) == expected  # noqa: NPY002


def test_log_lines_where_there_is_no_terminal(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr("dynsal.progress._SECONDS", 0.0)
    with caplog.at_level(logging.INFO):
        fit(make_job(tmp_path, max_iters=3))
    assert "step 2 of 3, loss" in caplog.text
    assert "samples/s" in caplog.text
    assert "left" in caplog.text
