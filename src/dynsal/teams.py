"""Several processes that share one training: torchrun starts them, and each gets its part of every batch.

The optimiser's batch is the same whatever their number, and so, but for rounding, is the result.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from dynsal.errors import DataError

log = logging.getLogger(__name__)

Item = TypeVar("Item")


@dataclass(frozen=True)
class Team:
    """The processes that share a training, seen from one of them; the default is a process by itself.

    Parameters
    ----------
    rank, size
        Number of this process, of how many.
    control
        Process group for small values on the CPU; the gradients go through the default group.
    """

    rank: int = 0
    size: int = 1
    control: Any = None

    @property
    def leads(self) -> bool:
        """Whether this process writes files and talks."""
        return self.rank == 0

    def part(self, batch: Sequence[Item]) -> list[Item]:
        """Return this process's part of a batch, or of a list of batches: equal parts if the size divides it."""
        return list(batch[self.rank :: self.size])

    def share(self, value: Item) -> Item:
        """Return the leader's value in every process."""
        if self.size == 1:
            return value
        values = [value]
        distributed.broadcast_object_list(values, src=0, group=self.control)
        return values[0]

    def total(self, values: list[float]) -> list[float]:
        """Return the sums over the processes."""
        if self.size == 1:
            return values
        found = torch.tensor(values, dtype=torch.float64)
        distributed.all_reduce(found, group=self.control)
        return [float(value) for value in found]

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process."""
        return self.total([float(flag)])[0] > 0

    def wrap(self, net: nn.Module) -> nn.Module:
        """Return a net whose backward pass averages the gradients over the processes."""
        return net if self.size == 1 else DistributedDataParallel(net)

    def require_equal_parts(self, batch_size: int, accumulate: int) -> None:
        """Check that a batch can be cut into equal parts.

        Raises
        ------
        DataError
            If not.
        """
        if batch_size % (self.size * accumulate):
            raise DataError(
                "train.batch_size",
                f"{batch_size} frames cannot be cut into {self.size} processes x {accumulate} passes",
                "Choose numbers that divide it",
            )


ALONE = Team()
"""A process that shares its training with nobody."""


@contextmanager
def team(device: torch.device) -> Iterator[Team]:
    """Join the processes that torchrun started, if it did; ``device`` is where this one computes."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1 or "MASTER_ADDR" not in os.environ:
        yield ALONE
        return
    cuda = device.type == "cuda"
    distributed.init_process_group("nccl" if cuda else "gloo", device_id=device if cuda else None)
    try:
        control = distributed.new_group(backend="gloo")
        yield Team(distributed.get_rank(), size, control)
    finally:
        distributed.destroy_process_group()


def share_out(processes: int) -> None:
    """Start this very command again as so many processes under torchrun, in place of this one; with 0 or 1, do nothing.

    In a process that torchrun has started, do nothing either.
    """
    if processes <= 1 or "TORCHELASTIC_RUN_ID" in os.environ:
        return
    launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    # Without the two dashes torchrun takes the script's --log for an abbreviation of its own options.
    words = [*launch, "--", *sys.argv]
    log.info("%d processes share this training", processes)
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *words])
