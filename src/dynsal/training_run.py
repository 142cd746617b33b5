"""One training from start to finish, with all that is kept of it: model, history, provenance."""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import nn

from dynsal import provenance
from dynsal.batches import Samples
from dynsal.code_inputs import code
from dynsal.config_train import OptimiserConfig
from dynsal.device import gpu_slot, pick_device, usable_cpus
from dynsal.fileio import digest, sampled_sha256, sha256, write_json, write_text
from dynsal.losses import Objective
from dynsal.staging import ClipSamples, staged
from dynsal.teams import team
from dynsal.training import Job, save_model, train

_TIMES = ("seconds", "wait_seconds")


@dataclass(frozen=True)
class Places:
    """Files to write, and the folder of the checkpoints, which is none of the outputs."""

    model: Path
    history: Path
    provenance: Path
    checkpoints: Path


@dataclass(frozen=True)
class Run:
    """What is trained, and how.

    Parameters
    ----------
    net, objective, config, seed
        As for `dynsal.training`.
    meta
        What the model file says about itself; the step is added.
    facts
        What the result depends on besides data and code, as plain JSON values; part of the fingerprint.
    script
        The script that does this; its code is part of the fingerprint.
    threads
        Threads in use, for the record.
    """

    net: nn.Module
    objective: Objective
    config: OptimiserConfig
    seed: int
    meta: Mapping[str, Any]
    facts: Mapping[str, Any]
    script: Path
    threads: int


def fingerprint(run: Run, files: list[Path]) -> str:
    """Return the hash of everything that the result depends on; ``files`` are the data."""
    return digest(
        {
            **run.facts,
            "seed": run.seed,
            "data": {str(path): sampled_sha256(path) for path in files},
            "code": {path: sha256(Path(path)) for path in code(run.script)},
            "script": sha256(run.script),
            "machine": {"torch": torch.__version__, "device": pick_device().type},  # rounding differs
        }
    )


def carry_out(
    run: Run,
    samples: Samples,
    checks: Samples | None,
    places: Places,
    files: list[Path],
    record: Mapping[str, Any],
) -> None:
    """Train, from wherever the checkpoints stand, and write model, history and provenance.

    Parameters
    ----------
    run
        What to train, and how.
    samples, checks
        Training and validation samples.
    places
        Where everything goes.
    files
        The data behind the samples, for the fingerprint.
    record
        Further lines of the provenance.
    """
    device, start = pick_device(), time.time()
    mark = fingerprint(run, files)
    with gpu_slot(device) as device, team(device) as members:
        # One loader process keeps a GPU fed; on a CPU it would only take a core from the net.
        spare = usable_cpus() // members.size - 1
        workers = max(0, min(4, spare)) if device.type == "cuda" else 0
        job = Job(run.config, run.objective, run.seed, places.checkpoints, mark, device, workers, members)
        used = (samples, checks) if run.config.max_iters else ()
        with staged([one for one in used if isinstance(one, ClipSamples)], members):
            outcome = train(run.net, samples, job, checks)
        if not members.leads:
            return
    meta = {**run.meta, "step": outcome.step}
    save_model(places.model, run.net, meta)
    history = pd.DataFrame(outcome.history)
    write_text(places.history, history.to_csv(index=False, lineterminator="\n"))
    seconds = {name: float(history[name].sum()) if name in history else 0.0 for name in _TIMES}
    on_gpu = device.type == "cuda"
    write_json(
        places.provenance,
        {
            **provenance.record(Path(__file__).resolve().parents[2]),
            **meta,
            **record,
            "device": torch.cuda.get_device_name(device) if on_gpu else "cpu",
            "processes": members.size,
            "threads": run.threads,
            "fingerprint": mark,
            "best_validation_loss": outcome.best_score,
            "wall_seconds_of_this_run": round(time.time() - start, 1),
            "training_seconds": round(seconds["seconds"], 1),
            "waiting_for_data_seconds": round(seconds["wait_seconds"], 2),
            "peak_memory_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
            "peak_gpu_memory_mib": round(torch.cuda.max_memory_allocated(device) / 2**20) if on_gpu else None,
        },
    )


def as_json(text: str | None) -> Any:
    """Return parameters as they were given, for the record; None if a configuration file was."""
    return json.loads(text) if text else None
