"""The folder in which a training keeps what it needs to go on: checkpoints, history, lock.

It is no declared output of the workflow, so it survives failed attempts. Whatever moment a process dies at, the
newest whole checkpoint decides, and what came after it is done again.
"""

from __future__ import annotations

import csv
import fcntl
import logging
import os
import pickle
import random
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dynsal.errors import DataError
from dynsal.fileio import atomic, is_disk_full, no_space

log = logging.getLogger(__name__)

State = dict[str, Any]
Row = dict[str, float | int | None]

_REQUIRED = {"fingerprint", "step", "best_step", "best_score", "weights", "optimizer", "running", "rng"}
_UNREADABLE = (OSError, RuntimeError, EOFError, ValueError, KeyError, TypeError, pickle.UnpicklingError)


class Checkpoints:
    """Save and load the states of one training; keeps the last two and the best ones they refer to.

    Use :func:`locked` to get one. A state is a dict of plain values and tensors with the keys of ``_REQUIRED``.
    """

    def __init__(self, folder: Path, fingerprint: str, lock: int) -> None:
        self.folder = folder
        self.lock = lock
        self._fingerprint = fingerprint
        self._previous: set[int] = set()

    def resume(self) -> State | None:
        """Return the newest readable state, or None to begin.

        A damaged file falls back to the one before it. If the state belongs to another fingerprint (other
        parameters, code or data), the whole folder is moved aside.
        """
        self._tidy()
        for step in reversed(self._steps()):
            path = self._path(step)
            try:
                state = self._load(path)
            except _UNREADABLE as error:
                log.warning("%s: damaged checkpoint (%s); falling back to the one before it", path, error)
                continue
            if state["fingerprint"] != self._fingerprint:
                self._move_aside()
                return None
            self._previous = {step, state["best_step"]}
            return state
        return None

    def save(self, state: State) -> None:
        """Write a state under its step, then delete those no longer needed."""
        step = int(state["step"])
        # Through a stream of Python's: given a path, torch hides that the disk is full.
        with atomic(self._path(step)) as part, part.open("wb") as stream:
            torch.save({**state, "fingerprint": self._fingerprint}, stream)
        _sync_folder(self.folder)
        needed = {step, state["best_step"]}
        # Those that the checkpoint before needs stay as well, in case this one turns out to be damaged.
        for old in set(self._steps()) - needed - self._previous:
            self._path(old).unlink()
        self._previous = needed

    def best_weights(self, step: int) -> State:
        """Return the weights saved at the best step.

        Raises
        ------
        DataError
            If that checkpoint is missing or damaged.
        """
        try:
            weights: State = self._load(self._path(step))["weights"]
        except _UNREADABLE as error:
            raise DataError(
                self._path(step),
                f"the best checkpoint is lost ({error})",
                f"Delete {self.folder} and train again",
            ) from None
        return weights

    @property
    def _history(self) -> Path:
        return self.folder / "history.csv"

    def add_row(self, row: Row) -> None:
        """Append one row to history.csv."""
        new = not self._history.exists()
        try:
            with self._history.open("a", newline="", encoding="utf-8") as stream:
                writer = csv.DictWriter(stream, list(row))
                if new:
                    writer.writeheader()
                writer.writerow(row)
        except OSError as error:
            if is_disk_full(error):
                raise no_space(self._history) from error
            raise

    def history(self, up_to: int) -> list[Row]:
        """Return the history's rows up to a step, having cut off (in the file too) any that came after it."""
        if not self._history.exists():
            return []
        with self._history.open(newline="", encoding="utf-8") as stream:
            texts = list(csv.DictReader(stream))
        rows: list[Row] = []
        for text in texts:
            try:
                row: Row = {key: _number(value) for key, value in text.items()}
                if row["step"] is None or row["step"] > up_to:
                    break
            except (ValueError, TypeError):
                break  # the line that was being written when the process died
            rows.append(row)
        if len(rows) < len(texts):
            with atomic(self._history) as part, part.open("w", newline="", encoding="utf-8") as stream:
                writer = csv.DictWriter(stream, list(texts[0]))
                writer.writeheader()
                writer.writerows(rows)
        return rows

    def _path(self, step: int) -> Path:
        return self.folder / f"step-{step:08d}.pt"

    def _steps(self) -> list[int]:
        matches = (re.fullmatch(r"step-(\d+)\.pt", path.name) for path in self.folder.iterdir())
        return sorted(int(match[1]) for match in matches if match)

    def _load(self, path: Path) -> State:
        state: State = torch.load(path, map_location="cpu", weights_only=True)
        missing = _REQUIRED - set(state)
        if missing:
            raise ValueError(f"lacks {sorted(missing)}")
        return state

    def _tidy(self) -> None:
        """Remove what a killed process left half written; nobody else writes here while the lock is held."""
        for part in self.folder.glob(".*.part"):
            part.unlink()

    def _move_aside(self) -> None:
        number = 1
        while (aside := self.folder.with_name(f"{self.folder.name}.stale-{number}")).exists():
            number += 1
        self.folder.rename(aside)
        self.folder.mkdir()
        log.warning(
            "%s holds a training with other parameters, code or data; moved it to %s and begin again",
            self.folder,
            aside.name,
        )


@contextmanager
def locked(folder: Path, fingerprint: str) -> Iterator[Checkpoints]:
    """Hold a folder's lock, ``<folder>.lock``, which the system releases however the process ends.

    Raises
    ------
    DataError
        If another process is training there; a training can outlive the Snakemake that started it.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder.with_name(f"{folder.name}.lock")
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = path.read_text(encoding="utf-8").strip() or "another process"
            raise DataError(
                folder, f"is in use by {holder}", "Wait for it, or end it, and run the same command again"
            ) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
        yield Checkpoints(folder, fingerprint, lock)
    finally:
        os.close(lock)


def random_state() -> State:
    """Return the states of all global random generators as plain values and tensors."""
    legacy: dict[str, Any] = dict(np.random.get_state(legacy=False))  # noqa: NPY002
    return {
        "python": random.getstate(),
        "numpy": {**legacy, "state": {**legacy["state"], "key": legacy["state"]["key"].tolist()}},
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_random_state(state: State) -> None:
    """Set all global random generators; those of CUDA only on a machine with as many devices."""
    version, values, gauss = state["python"]
    random.setstate((version, tuple(values), gauss))
    legacy = state["numpy"]
    key = np.asarray(legacy["state"]["key"], np.uint32)
    np.random.set_state({**legacy, "state": {**legacy["state"], "key": key}})  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    if state["cuda"] and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])


def _number(text: str) -> float | int | None:
    if text == "":
        return None
    return int(text) if re.fullmatch(r"-?\d+", text) else float(text)


def _sync_folder(folder: Path) -> None:
    """Flush the rename itself, so that a power cut cannot undo it after older checkpoints are gone."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
