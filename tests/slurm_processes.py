"""Which processes belong to a test's SLURM, and to which of its nodes: all nodes share this machine."""

from __future__ import annotations

from pathlib import Path

import psutil


def steps(folder: Path, daemons: set[int]) -> list[psutil.Process]:
    """Return the processes that the nodes of the cluster in a folder have started, without its daemons."""
    return [
        process
        for process in psutil.process_iter()
        if process.pid not in daemons and node_of(folder, process) is not None
    ]


def node_of(folder: Path, process: psutil.Process) -> str | None:
    """Return the node that a process runs on, None if it is none of this cluster's."""
    if words_of(process)[0].startswith("slurmstepd:"):
        return _node_of_step(folder, process)
    try:
        variables = process.environ()
    except (psutil.Error, OSError):
        return None
    # The job step takes SLURM_CONF away from its children.
    named = (variables.get("SLURM_CONF"), variables.get("DYNSAL_SLURM_CONF"))
    return variables.get("SLURMD_NODENAME") if str(folder / "etc" / "slurm.conf") in named else None


def _node_of_step(folder: Path, process: psutil.Process) -> str | None:
    """Return the node of a slurmstepd, which writes its state over its environment, by the log it holds open."""
    log = f"{folder}/log/slurmd."
    try:
        paths = [file.path for file in process.open_files()]
    except (psutil.Error, OSError):
        return None
    return next((path.removeprefix(log).removesuffix(".log") for path in paths if path.startswith(log)), None)


def words_of(process: psutil.Process) -> list[str]:
    """Return a process's command line; an empty word if it has gone."""
    try:
        return process.cmdline() or [""]
    except psutil.Error:
        return [""]
