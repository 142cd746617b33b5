"""Compare recipes of the static flow net by cross-validation over the training videos of hevc33; no test video is read.

Three folds of whole videos, relatives together. Each candidate is a JSON object: keys of section static_flow, and
``temperatures``, all of which are scored with the same weights, in both decodings. Prints, for every fold, the validation
loss over the iterations, and in the end the means over all 23 videos of the scores of every third labelled frame, with
the difference of their end-point error to that of zero, its standard error, and in how many videos it is lower.

``--known`` asks another question: each fold is a third of every video's time, so that frames are new and scenes are not.
What the net then gains over zero tells what more videos could be worth.

The motion clips must be there: workflow/scripts/motion.py makes them.

python benchmarks/static_flow_search.py --motion results/hevc33/motion '{"width": 0.5}' '{"width": 0.5, "colour": 1.0}'
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from dynsal.clips import Clip
from dynsal.codebook import DECODERS, cluster
from dynsal.config_transfer import StaticFlowConfig
from dynsal.device import limit_threads
from dynsal.motion_features import Features, FeatureSamples, HeadObjective, features_of, seen
from dynsal.motion_samples import MotionSamples, Objective, enlarge
from dynsal.motion_scores import MEASURES, Nearest, mean_motion, score
from dynsal.nets.static_flow import Pretrained, StaticFlowNet, build_static_flow
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
EVERY = 3
"""Of the labelled frames, those scored."""
CPU = torch.device("cpu")


class Part(NamedTuple):
    """Some frames of a clip."""

    path: Path
    positions: range


def parts(folder: Path, known: bool) -> list[list[Part]]:
    """Return the folds: of whole videos, or of thirds of every video's time."""
    folds: list[list[Part]] = [[] for _ in FOLDS]
    for number, videos in enumerate(FOLDS):
        for path in (folder / f"{video}.h5" for video in videos):
            with Clip(path) as clip:
                count = len(clip)
            if known:
                for third, fold in enumerate(folds):
                    fold.append(Part(path, range(count * third // 3, count * (third + 1) // 3)))
            else:
                folds[number].append(Part(path, range(count)))
    return folds


class Search:
    """Training and scoring on parts of clips; a frozen net's features are computed once for all candidates."""

    def __init__(self) -> None:
        self._features: dict[Path, Features] = {}

    def features(self, net: Pretrained, part: Part) -> Features:
        """Return the features of a part of a clip."""
        if part.path not in self._features:
            self._features[part.path] = features_of(part.path, net, CPU)
        rows = slice(part.positions.start, part.positions.stop)
        return Features(*(values[rows] for values in self._features[part.path]))

    def learn(
        self, config: StaticFlowConfig, training: Sequence[Part], held_out: Sequence[Part]
    ) -> tuple[StaticFlowNet, NDArray[np.float64]]:
        """Train on some parts and print the loss on others; return the net and its codebook."""
        codebook, net, start = cluster(fields(training), 0), build_static_flow(config), time.perf_counter()
        samples: list[FeatureSamples] | list[MotionSamples]
        objective: HeadObjective | Objective
        if isinstance(net, Pretrained):
            samples = [
                FeatureSamples((self.features(net, part) for part in group), mirrored=group is training)
                for group in (training, held_out)
            ]
            objective = HeadObjective(codebook)
        else:
            samples = [MotionSamples([part.path for part in group]) for group in (training, held_out)]
            objective = Objective(codebook, config.colour)
        with tempfile.TemporaryDirectory() as folder:
            job = Job(config.train, objective, 0, Path(folder) / "c", "trial", CPU)
            outcome = train(net, samples[0], job, samples[1])
        losses = [f"{row['step']}: {row['val_loss']:.0f}" for row in outcome.history if row["val_loss"]]
        print(f"  {time.perf_counter() - start:.0f} s, validation loss {', '.join(losses)}", flush=True)
        return net, codebook

    def logits(self, net: StaticFlowNet, part: Part, position: int, image: NDArray[np.uint8]) -> torch.Tensor:
        """Return the net's answer to a frame."""
        with torch.inference_mode():
            if isinstance(net, Pretrained):
                known = self.features(net, part).features[position - part.positions.start, :1]
                return torch.as_tensor(net(known.float()))
            return torch.as_tensor(net(seen([image], net.side)))


def fields(training: Sequence[Part]) -> Iterator[NDArray[np.floating]]:
    """Yield random fields of every part."""
    rng = np.random.default_rng(0)
    for part in training:
        with Clip(part.path) as clip:
            for position in rng.permutation(part.positions)[:FIELDS].tolist():
                yield clip.flow(position)


def guesses(training: Sequence[Part], known: bool) -> Iterator[tuple[str, Any]]:
    """Yield name and function of an image for everything that the net has to beat."""
    files = [part.path for part in training]
    mean = mean_motion(files) if not known else None
    yield "zero", lambda _image: np.zeros((SIZE[1], SIZE[0], 2), np.float32)
    if mean is not None:
        yield "mean", lambda _image: mean
        yield "nearest", Nearest(files)


def main() -> None:
    """Train and score every candidate on every fold."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("candidates", nargs="+", help="JSON objects")
    made.add_argument("--motion", type=Path, required=True, help="folder of motion clips")
    made.add_argument("--known", action="store_true", help="new frames of known scenes (variant pretrained)")
    made.add_argument("--per-video", type=Path, help="CSV of the last candidate's scores of every video")
    made.add_argument("--threads", type=int, default=1)
    options = made.parse_args()
    cv2.setNumThreads(1)
    limit_threads(options.threads)
    search, folds = Search(), parts(options.motion, options.known)
    for text in options.candidates:
        given = json.loads(text)
        hot = given.pop("temperatures", [1.0])
        recipe = {**BASE, **given, "train": {**BASE["train"], **given.get("train", {})}}  # type: ignore[dict-item]
        print(text, flush=True)
        rows: list[dict[str, Any]] = []
        for held_out in folds:
            training = list(itertools.chain(*(fold for fold in folds if fold is not held_out)))
            net, codebook = search.learn(StaticFlowConfig(**recipe), training, held_out)
            book, simple = torch.from_numpy(codebook).float(), dict(guesses(training, options.known))
            for part in held_out:
                with Clip(part.path) as clip:
                    for position in part.positions[::EVERY]:
                        image, measured = clip.bgr(position), clip.flow(position).astype(np.float32)
                        answer = search.logits(net, part, position, image)
                        found = {name: guess(image) for name, guess in simple.items()}
                        for temperature, (name, decode) in itertools.product(hot, DECODERS.items()):
                            field = enlarge(decode(answer / temperature, book), SIZE[1], SIZE[0])
                            found[f"{name}, temperature {temperature:g}"] = field[0].permute(1, 2, 0).numpy()
                        rows += [
                            {"model": name, "video": part.path.stem, **score(field, measured)}
                            for name, field in found.items()
                        ]
        means = pd.DataFrame(rows).groupby(["model", "video"])[list(MEASURES)].mean()
        print(summary(means).round(4).to_string(), flush=True)
    if options.per_video:
        means.round(4).to_csv(options.per_video)


def summary(means: pd.DataFrame) -> pd.DataFrame:
    """Return the means over videos, and the end-point error's difference to that of zero."""
    epe = means["epe"].unstack("model")
    gain = epe.sub(epe["zero"], axis=0)
    found = means.groupby("model").mean()
    return found.assign(to_zero=gain.mean(), se=gain.sem(), lower_in=(gain < 0).sum())


if __name__ == "__main__":
    main()
