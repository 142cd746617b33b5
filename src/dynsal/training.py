"""The training loop: resumable bit for bit (on a CPU), whatever moment it is interrupted at.

It knows nets, batches and checkpoints, and nothing of data sets or losses: any map-style dataset with ``groups`` and any
objective will do.
"""

from __future__ import annotations

import logging
import math
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from dynsal.batches import BatchOrder, Loader, Samples, StepSampler, in_order
from dynsal.checkpoints import Checkpoints, Row, State, locked, random_state, restore_random_state
from dynsal.config_train import OptimiserConfig
from dynsal.errors import DataError
from dynsal.losses import Batch, Objective
from dynsal.nets.weights import load_model, save_model
from dynsal.progress import progress
from dynsal.schedule import learning_rate, make_optimizer, set_rate
from dynsal.teams import ALONE, Team

__all__ = ["Job", "Outcome", "Samples", "load_model", "save_model", "train"]

log = logging.getLogger(__name__)

_ROWS = 200
_CUDA_LOOKS_AT_LOSS_EVERY = 20
"""Steps; looking waits for the device, which would otherwise work ahead."""


@dataclass(frozen=True)
class Job:
    """How to train, and where to keep what is needed to go on.

    Parameters
    ----------
    train
        Section of the configuration.
    objective
        Returns the loss of (net, batch on the device); what is trained, and on what, is its business.
    seed
        Seed of the sample order.
    checkpoints
        Folder for checkpoints and history, not among any declared outputs; ``<folder>.lock`` lies beside it.
    fingerprint
        Hash of all that the result depends on; a folder with another one is moved aside.
    device
        Where to compute.
    workers
        Processes that load samples; 0 loads in this one.
    team
        The processes that share this training.
    """

    train: OptimiserConfig
    objective: Objective
    seed: int
    checkpoints: Path
    fingerprint: str
    device: torch.device
    workers: int = 0
    team: Team = ALONE


@dataclass(frozen=True)
class Outcome:
    """A finished training: the step the net's weights are from, the best validation loss, the history's rows."""

    step: int
    best_score: float | None
    history: list[Row]


def train(net: nn.Module, dataset: Samples, job: Job, validation: Samples | None = None) -> Outcome:
    """Train a net in place until ``max_iters``, from wherever the checkpoint folder stands; return at once if done.

    Every ``history`` row holds ``step``, ``lr``, ``loss`` (mean since the row before), ``val_loss``, ``seconds`` of
    training since the row before, ``wait_seconds`` (the part of them spent waiting for samples) and
    ``samples_per_second``.

    Raises
    ------
    DataError
        If the folder is in use, a batch cannot be shared out, or a loss is not finite.
    SystemExit
        With 128 + signal, after saving, on SIGTERM or SIGUSR1.
    """
    if job.train.keep == "best" and not (
        validation is not None and len(validation) and job.train.validation_frames
    ):
        raise ValueError("keep: best needs validation samples")
    job.team.require_equal_parts(job.train.batch_size, job.train.accumulate)
    folder = locked(job.checkpoints, job.fingerprint) if job.team.leads else nullcontext()
    with folder as store, _signals() as received:
        trainer = _Trainer(net, job, store)
        trainer.resume()
        if trainer.step < job.train.max_iters:
            lock = store.lock if store else None
            order = BatchOrder(dataset.groups, job.train.batch_size, job.seed)
            batches = StepSampler(order, trainer.step, job.train.max_iters, job.team.part)
            with (
                Loader(dataset, batches, job.workers, job.device, lock) as loader,
                _checks(validation, job, lock) or nullcontext() as checks,
            ):
                trainer.run(loader, checks, received)
        return trainer.outcome()


class _Trainer:
    """The state of a training and the steps that change it; only the process that leads has a store."""

    def __init__(self, net: nn.Module, job: Job, store: Checkpoints | None) -> None:
        layout = torch.channels_last if job.train.channels_last else torch.contiguous_format
        self.net = net.to(device=job.device, memory_format=layout)  # type: ignore[call-overload]
        self.parallel = job.team.wrap(self.net)
        self.job = job
        self.config = job.train
        self.team = job.team
        self.store = store
        self.optimizer = make_optimizer(self.net.parameters(), job.train)
        self.step = 0
        self.best_step: int | None = None
        self.best_score: float | None = None
        self.history: list[Row] = []
        self.running = {"loss": 0.0, "steps": 0, "seconds": 0.0, "wait": 0.0}
        self.latest = math.nan
        self.pending: list[Tensor] = []
        self.cuda = job.device.type == "cuda"
        if self.cuda:
            torch.backends.cudnn.benchmark = True

    def resume(self) -> None:
        # Random draws inside the net, such as dropout, must differ between processes.
        seed = self.job.seed + 1000 * self.team.rank
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        torch.manual_seed(seed)
        state = self.team.share(self.store.resume() if self.store else None)
        if state is not None:
            self.net.load_state_dict(state["weights"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step, self.running = state["step"], state["running"]
            self.best_step, self.best_score = state["best_step"], state["best_score"]
            if self.team.leads:
                restore_random_state(state["rng"])
                log.info("resuming at step %d of %d", self.step, self.config.max_iters)
        self.history = self.team.share(self.store.history(self.step) if self.store else [])

    def run(self, loader: Loader, checks: Loader | None, received: list[int]) -> None:
        self.net.train()
        batches = iter(loader)
        with progress(self.step, self.config.max_iters, self.config.batch_size) as report:
            while self.step < self.config.max_iters:
                start = time.perf_counter()
                batch = next(batches)
                loaded = time.perf_counter()
                self._descend(batch)
                self.running["wait"] += loaded - start
                self.running["seconds"] += time.perf_counter() - start
                report.advance(f"loss {self.latest:.4g}")
                stopping = self.team.any(bool(received))
                self._keep_books(checks, stopping)
                if stopping:
                    kind = received[0] if received else signal.SIGTERM  # another process got it
                    log.warning(
                        "%s: saved step %d and stop; run again to go on", signal.Signals(kind).name, self.step
                    )
                    raise SystemExit(128 + kind)

    def outcome(self) -> Outcome:
        step = self.step
        if self.config.keep == "best" and self.best_step is not None:
            step = self.best_step
            self.net.load_state_dict(self.team.share(self.store.best_weights(step) if self.store else {}))
        self.net.eval()
        return Outcome(step, self.best_score, self.history)

    def _descend(self, batch: Batch) -> None:
        set_rate(self.optimizer, learning_rate(self.step, self.config))
        self.optimizer.zero_grad(set_to_none=True)
        loss = self._backward(batch)
        if self.config.grad_clip is not None:
            nn.utils.clip_grad_norm_(self.net.parameters(), self.config.grad_clip)
        self.optimizer.step()
        self.step += 1
        self.pending.append(loss)
        if len(self.pending) >= (_CUDA_LOOKS_AT_LOSS_EVERY if self.cuda else 1):
            self._look_at_losses()

    def _backward(self, batch: Batch) -> Tensor:
        """Add the gradients of the batch's mean loss, in ``accumulate`` passes; return that loss."""
        passes = self.config.accumulate
        parts = [
            dict(zip(batch, values, strict=True))
            for values in zip(*(value.chunk(passes) for value in batch.values()), strict=True)
        ]
        total = torch.zeros((), device=self.job.device)
        for number, part in enumerate(parts, 1):
            waits = number < passes and isinstance(self.parallel, DistributedDataParallel)
            with self.parallel.no_sync() if waits else nullcontext():  # type: ignore[operator]
                loss = self._loss(self.parallel, part) / passes
                loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        return total

    def _loss(self, net: nn.Module, batch: Batch) -> Tensor:
        batch = {name: value.to(self.job.device, non_blocking=True) for name, value in batch.items()}
        with torch.autocast("cuda", torch.bfloat16, enabled=self.config.amp and self.cuda):
            return self.job.objective(net, batch)

    def _look_at_losses(self) -> None:
        if not self.pending:
            return
        first = self.step - len(self.pending) + 1
        losses = self.team.total(torch.stack(self.pending).tolist())
        for step, loss in enumerate((loss / self.team.size for loss in losses), first):
            self._require_finite(loss, f"the loss of step {step}")
            self.running["loss"] += loss
            self.running["steps"] += 1
            self.latest = loss
        self.pending.clear()

    def _require_finite(self, loss: float, what: str) -> None:
        if not math.isfinite(loss):
            raise DataError(
                self.job.checkpoints,
                f"{what} is {loss}",
                "Lower train.base_lr, or set train.grad_clip, and run again",
            )

    def _keep_books(self, checks: Loader | None, stopping: bool) -> None:
        """After a step: validate, write a row, save, each where due (rows and validations by the step alone)."""
        config, last = self.config, self.step == self.config.max_iters
        improved = False
        score: float | None = None
        if checks is not None and (last or self.step % config.validate_every == 0):
            self._look_at_losses()
            score = self._validate(checks)
            if config.keep == "best" and (self.best_score is None or score < self.best_score):
                improved, self.best_step, self.best_score = True, self.step, score
        if last or score is not None or self.step % max(1, config.max_iters // _ROWS) == 0:
            self._look_at_losses()
            self._write_row(score)
        if last or improved or stopping or self.step % config.checkpoint_every == 0:
            self._look_at_losses()
            if self.store:
                self.store.save(self._state())

    @torch.no_grad()
    def _validate(self, checks: Loader) -> float:
        self.net.eval()
        total, count = 0.0, 0
        for batch in checks:
            size = len(next(iter(batch.values())))
            total += float(self._loss(self.net, batch)) * size
            count += size
        self.net.train()
        total, frames = self.team.total([total, count])
        self._require_finite(total, f"the validation loss at step {self.step}")
        return total / frames

    def _write_row(self, score: float | None) -> None:
        run = self.running
        row: Row = {
            "step": self.step,
            "lr": learning_rate(self.step - 1, self.config),
            "loss": run["loss"] / run["steps"],
            "val_loss": score,
            "seconds": round(run["seconds"], 3),
            "wait_seconds": round(run["wait"], 3),
            "samples_per_second": round(run["steps"] * self.config.batch_size / max(run["seconds"], 1e-9), 3),
        }
        if self.store:
            self.store.add_row(row)
        self.history.append(row)
        self.running = dict.fromkeys(run, 0)

    def _state(self) -> State:
        return {
            "step": self.step,
            "weights": self.net.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "running": self.running,
            "best_step": self.best_step,
            "best_score": self.best_score,
            "rng": random_state(),
        }


def _checks(validation: Samples | None, job: Job, lock: int | None) -> Loader | None:
    """Return a loader of evenly spaced validation samples, or None if there are none."""
    if validation is None or not len(validation) or not job.train.validation_frames:
        return None
    count = min(len(validation), job.train.validation_frames)
    chosen = set(np.linspace(0, len(validation) - 1, count).astype(int).tolist())
    groups = [[index for index in group if index in chosen] for group in validation.groups]
    batches = job.team.part(in_order(groups, job.train.batch_size))
    return Loader(validation, batches, job.workers, job.device, lock)


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Collect SIGTERM and SIGUSR1 instead of dying from them; only the main thread may."""
    received: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        received.append(number)

    before: dict[signal.Signals, Any] = {}
    try:
        for kind in (signal.SIGTERM, signal.SIGUSR1):
            try:
                before[kind] = signal.signal(kind, note)
            except ValueError:
                log.debug("not in the main thread: signals will not save a checkpoint")
        yield received
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
