"""Compare training recipes on the validation videos of a configuration; test videos are never read.

Each candidate is a set of overrides of the configuration. Prints the validation loss over the iterations and, for the
final weights, the mean sAUC and chi-square over the validation videos (negatives from the other validation videos).
The data must be there: ``snakemake --configfile config/hevc33.yaml data flows``.

Example: ``python benchmarks/recipe_search.py --config config/hevc33.yaml --model early --set train.base_lr=1.0e-3
--set train.base_lr=3.0e-4 flow.bound=1.0``
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import yaml

from dynsal.clips import Clip
from dynsal.config import Config, parse
from dynsal.device import limit_threads, pick_device
from dynsal.evaluation import score_video
from dynsal.inference import Predictor
from dynsal.losses import saliency_objective
from dynsal.nets import REGISTRY, build
from dynsal.references import load_references
from dynsal.samples import ClipSamples, sources
from dynsal.training import Job, train
from dynsal.workflow import Plan


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


def trial(config: Config, name: str, seed: int) -> tuple[pd.DataFrame, pd.DataFrame, float]:
    """Train one model and score it on the validation videos: history, per-video means, seconds."""
    plan = Plan(config)
    results = Path("results") / plan.ds
    model = config.models[name]
    net_cfg, train_cfg = config.of_model(name)
    inputs = REGISTRY[model.arch].inputs
    training = ClipSamples(sources(results, plan.train, model.augment), config.gaze, inputs)
    checks = ClipSamples(sources(results, plan.validation, [1]), config.gaze, inputs)
    net = build(model.arch, net_cfg, seed)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        objective = saliency_objective(train_cfg, net_cfg, config.flow)
        job = Job(train_cfg, objective, seed, Path(folder) / "c", "trial", pick_device(), 0)
        outcome = train(net, training, job, checks.evenly_spaced(train_cfg.validation_frames))
    seconds = time.perf_counter() - start
    meta = {
        "arch": model.arch,
        "net": net_cfg.model_dump(),
        "flow": config.flow.model_dump(),
        "memory": model.memory,
    }
    predictor = Predictor(net, meta, pick_device())
    rows = []
    for video, reference in load_references(results, plan.validation, config.gaze, config.evaluate).items():
        with (
            Clip(results / "frames" / f"{video}.h5") as frames,
            Clip(results / "flow" / f"{video}.h5") as flow,
        ):
            items = (
                (index, frames.bgr(k), flow.flow(k).astype(np.float32))
                for k, index in enumerate(frames.frames.tolist())
            )
            fps = float(frames.attrs["source_fps"])
            table = score_video(reference, predictor.predict_stream(items, fps=fps))
        rows.append({"video": video, "sauc": table["sauc"].mean(), "chi2": table["chi2"].mean()})
    return pd.DataFrame(outcome.history), pd.DataFrame(rows), seconds


def main() -> None:
    """Run all candidates in turn."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--model", nargs="+", required=True, help="models of the configuration")
    parser.add_argument("--set", nargs="*", action="append", default=[], help="overrides of one candidate")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    arguments = parser.parse_args()
    limit_threads(torch.get_num_threads())
    values = yaml.safe_load(arguments.config.read_text(encoding="utf-8"))
    for assignments in arguments.set or [[]]:
        config = override(values, assignments)
        for name in arguments.model:
            for seed in arguments.seeds:
                history, scores, seconds = trial(config, name, seed)
                losses = history.dropna(subset=["val_loss"])
                course = " ".join(f"{row.step}:{row.val_loss:.3f}" for row in losses.itertuples())
                print(
                    f"{name} seed {seed} {' '.join(assignments) or 'as configured'}: {seconds:.0f} s, "
                    f"sAUC {scores['sauc'].mean():.3f}, chi2 {scores['chi2'].mean():.3f}, "
                    f"training loss {history['loss'].iloc[-1]:.3f}, validation {course}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
