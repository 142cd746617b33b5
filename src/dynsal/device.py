"""The machine at hand: which device computes, and how many processors this process may use."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import logging
import math
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from dynsal.errors import DataError

log = logging.getLogger(__name__)


def pick_device(wanted: str | None = None) -> torch.device:
    """Return the device of that name; without one a CUDA device if there is any, else the CPU.

    The CUDA device is the first, or, among the processes that torchrun started, that of this process's number.

    Raises
    ------
    DataError
        If a GPU is wanted and there is none.
    """
    if wanted and wanted != "cpu" and not torch.cuda.is_available():
        raise DataError(wanted, "there is no such device here", "Use --device cpu")
    if wanted:
        return torch.device(wanted)
    return (
        torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        if torch.cuda.is_available()
        else torch.device("cpu")
    )


def usable_cpus(
    cgroup_root: Path = Path("/sys/fs/cgroup"), membership: Path = Path("/proc/self/cgroup")
) -> int:
    """Return how many processors this process may use: its affinity, cut by the CPU quotas of its control groups.

    A container or batch system often grants fewer processors than ``os.cpu_count()`` reports. The arguments are
    there for tests.
    """
    affinity = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    limits = [float(len(affinity))]
    for group in _groups(cgroup_root, membership):
        with contextlib.suppress(OSError, ValueError):
            quota, period = (group / "cpu.max").read_text().split()
            limits.append(float(quota) / float(period))  # "max" is no number: no limit at this level
    with contextlib.suppress(OSError, ValueError):  # version 1
        limit = int((cgroup_root / "cpu/cpu.cfs_quota_us").read_text())
        if limit > 0:
            limits.append(limit / int((cgroup_root / "cpu/cpu.cfs_period_us").read_text()))
    return max(1, math.ceil(min(limits)))


def keep_freed_memory() -> None:
    """Let the C library keep memory that was freed instead of handing it back, where it is glibc; for whole programs only.

    Pictures are freed and allocated again all the time; fetching their pages from the system every time took 7 ms per
    frame of 768x576, as long as all else that was done with them. What is kept is bounded by what was in use at once.
    """
    trim_threshold, mmap_threshold = -1, -3  # malloc.h
    try:
        library = ctypes.CDLL("libc.so.6")
    except OSError:
        return
    library.mallopt(mmap_threshold, 32 * 2**20)
    library.mallopt(trim_threshold, 2**31 - 1)


def limit_threads(count: int) -> int:
    """Let torch use at most ``count`` threads, and never more than there are processors; return the number set."""
    threads = max(1, min(count, usable_cpus()))
    torch.set_num_threads(threads)
    with contextlib.suppress(RuntimeError):  # can be set only once per process
        torch.set_num_interop_threads(1)
    return threads


@contextlib.contextmanager
def gpu_slot(device: torch.device) -> Iterator[torch.device]:
    """Yield a GPU that no other training of this user on this machine has, waiting for one; a CPU as it is.

    Nobody waits where a scheduler or the user has chosen (CUDA_VISIBLE_DEVICES is set), where torchrun has
    (LOCAL_RANK), or where DYNSAL_SHARE_GPUS says that trainings may share one. The lock of a killed process is free.
    """
    chosen = {"CUDA_VISIBLE_DEVICES", "LOCAL_RANK", "DYNSAL_SHARE_GPUS"} & set(os.environ)
    if device.type != "cuda" or chosen:
        yield device
        return
    folder = Path(tempfile.gettempdir()) / f"dynsal-gpus-{os.getuid()}"
    with free_slot(torch.cuda.device_count(), folder) as number:
        yield torch.device("cuda", number)


@contextlib.contextmanager
def free_slot(count: int, folder: Path, poll_seconds: float = 1.0) -> Iterator[int]:
    """Yield a number below ``count`` that nobody else holds, waiting for one; the numbers are lock files in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    told = False
    while True:
        for number in range(count):
            with (folder / f"{number}.lock").open("a") as handle:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                yield number
                return
        if not told:
            log.info("all %d GPUs are in use by other trainings (%s): waiting", count, folder)
            told = True
        time.sleep(poll_seconds)


def _groups(root: Path, membership: Path) -> list[Path]:
    """Return this process's control group (version 2) and its ancestors."""
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return [root]
    path = next((line[3:] for line in lines if line.startswith("0::")), "/")
    group = root / path.lstrip("/")
    return [group, *(parent for parent in group.parents if parent == root or root in parent.parents)]
