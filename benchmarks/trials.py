"""What the searches and cross-validations share: configurations with overrides, and trainings outside the workflow."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import yaml
from snakemake.utils import update_config

from dynsal.config import Config, parse
from dynsal.device import pick_device
from dynsal.inference import Predictor
from dynsal.losses import saliency_objective
from dynsal.nets import REGISTRY, build
from dynsal.samples import ClipSamples, sources
from dynsal.training import Job, Outcome, train
from dynsal.workflow import Plan


def read(files: list[Path]) -> dict[str, Any]:
    """Return the first configuration file with the others laid over it, as Snakemake does with several."""
    values: dict[str, Any] = {}
    for file in files:
        update_config(values, yaml.safe_load(file.read_text(encoding="utf-8")))
    return values


def override(values: dict[str, Any], assignments: list[str]) -> Config:
    """Return the configuration with ``section.key=value`` applied, values in YAML."""
    merged = yaml.safe_load(yaml.safe_dump(values))
    for assignment in assignments:
        path, value = assignment.split("=", 1)
        *sections, key = path.split(".")
        place = merged
        for section in sections:
            place = place.setdefault(section, {})
        place[key] = yaml.safe_load(value)
    return parse(merged, " ".join(assignments) or "base")


def trained(
    config: Config, name: str, seed: int, results: Path, videos: list[str], checks: list[str]
) -> tuple[Predictor, Outcome]:
    """Train a model of the configuration on some videos, from where it starts, as the workflow does.

    Parameters
    ----------
    config, name, seed
        Which model.
    results
        Folder with the clips and gaze.
    videos, checks
        To train on, and for the validation loss (none: no such loss).
    """
    model = config.models[name]
    net_cfg, train_cfg = config.of_model(name)
    if files := Plan(config).initial_weights(name, seed):
        net_cfg = net_cfg.model_copy(update={"init": files[0]})
    inputs = REGISTRY[model.arch].inputs
    samples = ClipSamples(sources(results, videos, model.augment), config.gaze, inputs)
    validation = None
    if checks:
        found = ClipSamples(sources(results, checks, [1]), config.gaze, inputs)
        validation = found.evenly_spaced(train_cfg.validation_frames)
    net = build(model.arch, net_cfg, seed)
    with tempfile.TemporaryDirectory() as folder:
        objective = saliency_objective(train_cfg, net_cfg, config.flow)
        job = Job(train_cfg, objective, seed, Path(folder) / "c", "trial", pick_device(), 0)
        outcome = train(net, samples, job, validation)
    meta = {
        "arch": model.arch,
        "net": net_cfg.model_dump(),
        "flow": config.flow.model_dump(),
        "memory": model.memory,
    }
    return Predictor(net, meta, pick_device()), outcome
