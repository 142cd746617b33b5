"""Compare recipes of the static flow net by cross-validation over the training videos of hevc33; no test video is read.

Three folds of whole videos, relatives together. Each candidate is a JSON object: keys of section static_flow, and
``temperatures``, all of which are scored with the same weights. Prints, for every fold, the validation loss over the
iterations, and in the end the means over all 23 videos of the scores of every third labelled frame.

The motion clips must be there: workflow/scripts/motion.py makes them.

python benchmarks/static_flow_search.py --motion results/hevc33/motion '{"width": 0.5}' '{"width": 0.5, "colour": 1.0}'
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from dynsal.clips import Clip
from dynsal.codebook import cluster, soft_decode
from dynsal.config_transfer import StaticFlowConfig
from dynsal.device import limit_threads
from dynsal.motion_samples import MotionSamples, Objective, enlarge, normalise
from dynsal.motion_scores import MEASURES, Nearest, mean_motion, score
from dynsal.nets.static_flow import INPUT, build_static_flow
from dynsal.summed_motion import SIZE
from dynsal.training import Job, train

FOLDS = (
    ("ParkScene", "RaceHorsesC", "RaceHorsesD", "KristenAndSara", "Simo", "BQSquare", "ChinaSpeed"),
    (
        "Cactus", "BasketballDrill", "BasketballDrillText", "FourPeople", "Female", "PartyScene", "Traffic",
        "SlideEditing",
    ),
    ("BQTerrace", "BasketballDrive", "BasketballPass", "Vidyo1", "Vidyo3", "Vidyo4", "Male", "Lee"),
)  # fmt: skip
BASE = {
    "variant": "small",
    "width": 0.5,
    "train": {
        "optimizer": "adamw", "base_lr": 2.0e-3, "weight_decay": 0.3, "schedule": "cosine", "warmup_iters": 20,
        "max_iters": 200, "batch_size": 16, "grad_clip": 100.0, "validate_every": 50, "validation_frames": 100,
    },
}  # fmt: skip
FIELDS = 20
"""Fields of each video behind the codebook, as in workflow/scripts/codebook.py."""


def fields(files: list[Path]) -> Iterator[NDArray[np.floating]]:
    """Yield random fields of every clip."""
    rng = np.random.default_rng(0)
    for path in files:
        with Clip(path) as clip:
            for position in rng.permutation(len(clip))[:FIELDS].tolist():
                yield clip.flow(position)


def learn(
    config: StaticFlowConfig, training: list[Path], held_out: list[Path]
) -> tuple[nn.Module, torch.Tensor]:
    """Train on some clips and print the loss on others; return the net and its codebook."""
    codebook, net, start = cluster(fields(training), 0), build_static_flow(config), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        objective = Objective(codebook, config.colour)
        job = Job(config.train, objective, 0, Path(folder) / "c", "trial", torch.device("cpu"))
        outcome = train(net, MotionSamples(training), job, MotionSamples(held_out))
    losses = [f"{row['step']}: {row['val_loss']:.0f}" for row in outcome.history if row["val_loss"]]
    print(f"  {time.perf_counter() - start:.0f} s, validation loss {', '.join(losses)}", flush=True)
    return net, torch.from_numpy(codebook).float()


def compare(
    net: nn.Module, codebook: torch.Tensor, training: list[Path], files: list[Path], hot: list[float]
) -> Any:
    """Yield one row per predictor and every third frame of the held-out clips."""
    nearest, mean = Nearest(training), mean_motion(training)
    for path in files:
        with Clip(path) as clip:
            for position in range(0, len(clip), 3):
                image, measured = clip.bgr(position), clip.flow(position).astype(np.float32)
                small = torch.from_numpy(cv2.resize(image, (INPUT, INPUT))[None]).permute(0, 3, 1, 2)
                with torch.inference_mode():
                    logits = net(normalise(small))
                guesses = {"zero": np.zeros_like(measured), "mean": mean, "nearest": nearest(image)}
                for temperature in hot:
                    field = enlarge(soft_decode(logits / temperature, codebook), SIZE[1], SIZE[0])
                    guesses[f"net, temperature {temperature:g}"] = field[0].permute(1, 2, 0).numpy()
                for name, guess in guesses.items():
                    yield {"model": name, "video": path.stem, **score(guess, measured)}


def main() -> None:
    """Train and score every candidate on every fold."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("candidates", nargs="+", help="JSON objects")
    made.add_argument("--motion", type=Path, required=True, help="folder of motion clips")
    made.add_argument("--threads", type=int, default=1)
    options = made.parse_args()
    cv2.setNumThreads(1)
    limit_threads(options.threads)
    clips = [[options.motion / f"{video}.h5" for video in fold] for fold in FOLDS]
    for text in options.candidates:
        given = json.loads(text)
        hot = given.pop("temperatures", [1.0])
        recipe = {**BASE, **given, "train": {**BASE["train"], **given.get("train", {})}}  # type: ignore[dict-item]
        print(text, flush=True)
        rows: list[dict[str, Any]] = []
        for held_out in clips:
            training = list(itertools.chain(*(fold for fold in clips if fold is not held_out)))
            net, codebook = learn(StaticFlowConfig(**recipe), training, held_out)
            rows += compare(net, codebook, training, held_out, hot)
        means = pd.DataFrame(rows).groupby(["model", "video"])[list(MEASURES)].mean()
        print(means.groupby("model").mean().round(3).to_string(), flush=True)


if __name__ == "__main__":
    main()
