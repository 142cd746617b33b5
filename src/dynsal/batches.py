"""Which samples make up which training step, a pure function of (seed, step), and their loading.

A resumed training therefore sees exactly what an uninterrupted one would have seen, whatever the number of workers.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from types import FrameType, TracebackType
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, default_collate

from dynsal.errors import DataError


class Samples(Protocol):
    """What training needs of a dataset."""

    @property
    def groups(self) -> Sequence[Sequence[int]]:
        """Indices of the samples of each resolution."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Mapping[str, Any]:
        """Return one sample: the tensors of a batch (see :mod:`dynsal.losses`) without the first axis."""
        ...


class BatchOrder:
    """Batches of one resolution each, in random order, anew in every epoch.

    In an epoch every group of equal resolution is shuffled and cut into batches, and the batches of all groups are
    shuffled; so resolutions are drawn in proportion to their samples, and every sample comes once. A group's last
    batch is filled up with samples from its beginning.

    Parameters
    ----------
    groups
        Indices of samples, one list per resolution.
    batch_size
        Samples per batch.
    seed
        Seed of all permutations.
    """

    def __init__(self, groups: Sequence[Sequence[int]], batch_size: int, seed: int) -> None:
        self._groups = [np.asarray(group, np.int64) for group in groups if len(group)]
        if not self._groups:
            raise ValueError("there are no samples to train on")
        self._batch_size = batch_size
        self._seed = seed
        self._bounds = np.cumsum([0, *(-(-len(group) // batch_size) for group in self._groups)])
        self.steps_per_epoch = int(self._bounds[-1])
        # One epoch at a time: a permutation of 600,000 samples takes 10 ms.
        self._epoch = lru_cache(maxsize=1)(self._shuffle)

    def batch(self, step: int) -> list[int]:
        """Return the indices of the samples of a step (0-based)."""
        epoch, place = divmod(step, self.steps_per_epoch)
        batches, samples = self._epoch(epoch)
        number = int(batches[place])
        which = int(np.searchsorted(self._bounds, number, side="right")) - 1
        start = (number - int(self._bounds[which])) * self._batch_size
        group = samples[which]
        return [int(group[(start + k) % len(group)]) for k in range(self._batch_size)]

    def _shuffle(self, epoch: int) -> tuple[NDArray[np.int64], list[NDArray[np.int64]]]:
        rng = np.random.default_rng([self._seed, epoch])
        return rng.permutation(self.steps_per_epoch), [rng.permutation(group) for group in self._groups]


class StepSampler(Sampler[list[int]]):
    """The batches of steps ``start`` to ``stop``, or the ``part`` of each, for ``DataLoader(batch_sampler=...)``."""

    def __init__(
        self,
        order: BatchOrder,
        start: int,
        stop: int,
        part: Callable[[Sequence[int]], list[int]] = list,
    ) -> None:
        self._order = order
        self._steps = range(start, stop)
        self._part = part

    def __iter__(self) -> Iterator[list[int]]:
        """Yield one list of indices per step."""
        return (self._part(self._order.batch(step)) for step in self._steps)

    def __len__(self) -> int:
        return len(self._steps)


def in_order(groups: Sequence[Sequence[int]], batch_size: int) -> list[list[int]]:
    """Return all samples in their order, in batches of one resolution each."""
    return [
        list(group[start : start + batch_size])
        for group in groups
        for start in range(0, len(group), batch_size)
    ]


class Failure(NamedTuple):
    """A DataError on its way out of a worker process; torch would turn it into a long traceback."""

    where: str
    problem: str
    remedy: str


class Loader:
    """Loads the given batches of indices, ahead of time if it has workers; a context manager.

    Workers let go of the lock (they may outlive a killed parent for some seconds). They ignore SIGTERM and SIGUSR1,
    which batch systems send to all processes of a job, until the loader is closed: so the parent can finish its
    step. DataErrors of the samples are raised here, in one line.

    With workers a batch lies in shared memory that is used again: it is valid until the second next one is asked for.

    Parameters
    ----------
    samples, batches
        What to load, in which order.
    workers
        Processes that load; 0 loads in this one when asked.
    device
        Where the batches are going.
    lock
        Number of an open file that the workers must close, if there is one.
    """

    def __init__(
        self,
        samples: Samples,
        batches: Sampler[list[int]] | list[list[int]],
        workers: int,
        device: torch.device,
        lock: int | None,
    ) -> None:
        self._closed = multiprocessing.RawValue("b", 0)
        parallel: dict[str, Any] = {}
        if workers:
            # Forked, because the lock's number means something only in a copy of this process.
            parallel = {
                "multiprocessing_context": "fork",
                "persistent_workers": True,
                "worker_init_fn": partial(_prepare_worker, lock, self._closed),
            }
        self._loader: DataLoader[Any] = DataLoader(
            _Guarded(samples),
            batch_sampler=batches,
            num_workers=workers,
            pin_memory=device.type == "cuda",
            collate_fn=_Slots() if workers else _collate,
            generator=torch.Generator(),  # workers' seeds come from it, so the global one stays untouched
            **parallel,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.value = 1

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        """Yield one dict of tensors per batch."""
        for batch in self._loader:
            if isinstance(batch, Failure):
                raise DataError(*batch)
            yield _unpacked(*batch) if isinstance(batch, _Packed) else batch


class _Guarded(Dataset[Any]):
    """Hands DataErrors on as values."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Mapping[str, Any] | Failure:
        try:
            return self._samples[index]
        except DataError as error:
            return Failure(error.where, error.problem, error.remedy)


def _collate(items: list[Any]) -> Any:
    failures = [item for item in items if isinstance(item, Failure)]
    return failures[0] if failures else default_collate(items)


class _Packed(NamedTuple):
    """A batch as one piece of memory, and what lies in it: name, type and shape of every tensor."""

    memory: Tensor
    layout: list[tuple[str, torch.dtype, list[int]]]


class _Slots:
    """Puts a worker's batches into shared memory of its own, used in turn.

    torch takes fresh shared memory for every tensor of every batch. The kernel clears it page by page, which at 640x480
    takes two thirds of the time of decoding. The loader asks a worker for two batches beyond those it has handed out.
    """

    COUNT = 4

    def __init__(self) -> None:
        self._slots = [torch.empty(0, dtype=torch.uint8)] * self.COUNT
        self._turn = 0

    def __call__(self, items: list[Any]) -> Any:
        """Return the items as a batch, or the first failure."""
        failures = [item for item in items if isinstance(item, Failure)]
        if failures:
            return failures[0]
        first = items[0]
        layout = [(name, value.dtype, [len(items), *value.shape]) for name, value in first.items()]
        sizes = [_padded(len(items) * value.nbytes) for value in first.values()]
        if self._slots[self._turn].numel() < sum(sizes):
            fresh = torch.empty(sum(sizes), dtype=torch.uint8)
            self._slots[self._turn] = fresh.share_memory_()  # type: ignore[no-untyped-call]
        packed = _Packed(self._slots[self._turn][: sum(sizes)], layout)
        for name, out in _unpacked(*packed).items():
            torch.stack([item[name] for item in items], out=out)
        self._turn = (self._turn + 1) % self.COUNT
        return packed


def _padded(size: int) -> int:
    """Return a size rounded up, so that what follows lies at an address fit for every type."""
    return -(-size // 64) * 64


def _unpacked(memory: Tensor, layout: Sequence[tuple[str, torch.dtype, Sequence[int]]]) -> dict[str, Tensor]:
    """Return the tensors of a packed batch, without copying."""
    found, start = {}, 0
    for name, kind, shape in layout:
        size = math.prod(shape) * kind.itemsize
        found[name] = memory[start : start + size].view(kind).view(*shape)
        start += _padded(size)
    return found


def _prepare_worker(lock: int | None, closed: Any, _number: int) -> None:
    if lock is not None:
        os.close(lock)

    def terminate(_kind: int, _frame: FrameType | None) -> None:
        if closed.value:
            os._exit(0)

    signal.signal(signal.SIGTERM, terminate)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
