"""Compare recipes of arch `lite` by cross-validation, on the training videos of a configuration or on all of its videos.

To choose a recipe, use the training videos: test videos are then never read. To know more about a recipe that is fixed, use all
(``--videos all``). Videos of the same scene or people stay in one fold. The features of a frozen backbone are computed once, of every frame and
of its mirror image if wanted; a training of what is learnt then takes seconds. If a candidate's backbone is not frozen
(``--set models.lite.net.lite.backbone=tuned``), frames go through it in every iteration, for all candidates of the command. Each candidate is a
set of overrides of the configuration; one row per candidate, seed and half-life of the memory, averaged over the videos.
The data must be there: ``snakemake --configfile config/hevc33.yaml flows``.

``--stills`` trains each net on still images with gaze before, for as many iterations as ``--stills-iters`` says, by the same
recipe; their frames and gaze must be there, too (target ``stills``).

Example: ``python benchmarks/lite_search.py --config config/hevc33.yaml --out lite_search.csv
--set models.lite.train.max_iters=200 --set models.lite.train.max_iters=400``
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from folds import METRICS, folds
from lite_material import Material, Recipe, Seen, fitted, gather, maps
from trials import override, read

from dynsal.evaluation import Reference, score_video
from dynsal.evaluation import fitted as fitted_to
from dynsal.memory import Memory
from dynsal.workflow import Plan


def scores(reference: Reference, found: list[np.ndarray], fps: float, half_life: float) -> dict[str, float]:
    """Return the mean scores of a video's maps after the memory."""
    indices = reference.frames.tolist()
    if half_life:
        memory = Memory(half_life, fps)
        found = [memory(index, saliency) for index, saliency in zip(indices, found, strict=True)]
    table = score_video(reference, fitted_to(zip(indices, found, strict=True), reference.size))
    return {name: float(table[name].mean()) for name in METRICS}


@dataclass(frozen=True)
class Validation:
    """How a candidate is cross-validated.

    Parameters
    ----------
    parts
        The folds.
    half_lives
        Of the memory.
    maps
        Folder for the map of every video's middle frame, without memory; None keeps none.
    """

    parts: list[list[str]]
    half_lives: list[float]
    maps: Path | None = None


def validated(recipe: Recipe, how: Validation, material: Material, iters: int) -> tuple[pd.DataFrame, float]:
    """Train one net per fold; return the scores per held-out video and half-life, and the mean of the last training loss."""
    start, rows, losses = None, [], []
    if iters:
        net, _ = fitted(recipe, material.stills, iters=iters)
        start = net.state_dict()
    for held_out in how.parts:
        items = [item for video, items in material.store.items() if video not in held_out for item in items]
        net, loss = fitted(recipe, items, start)
        losses.append(loss)
        for video in held_out:
            found = list(maps(net, material.store[video], recipe.config.flow.bound))
            if how.maps:
                how.maps.mkdir(parents=True, exist_ok=True)
                np.save(how.maps / f"{video}.npy", found[len(found) // 2])
            for half_life in how.half_lives:
                row = scores(material.references[video], found, material.fps[video], half_life)
                rows.append({"half_life": half_life, "video": video, **row})
    return pd.DataFrame(rows), float(np.mean(losses))


def add(table: pd.DataFrame, path: Path) -> None:
    """Add rows to a CSV file."""
    table.to_csv(path, mode="a", header=not path.exists(), index=False, lineterminator="\n")


def arguments_given() -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", type=Path, nargs="+", required=True, help="and what is laid over it")
    parser.add_argument("--results", type=Path, default=None, help="results/{ds}, if elsewhere")
    parser.add_argument(
        "--inputs",
        type=Path,
        help="the same of another working size: what nets see, if not what they are scored at",
    )
    parser.add_argument("--words", nargs="*", default=[], help="added to the candidates' names in the tables")
    parser.add_argument("--set", nargs="*", action="append", default=[], help="overrides of one candidate")
    parser.add_argument(
        "--videos", choices=["train", "all"], default="train", help="which are shared out to folds"
    )
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--half-lives", type=float, nargs="+", default=[0.0])
    parser.add_argument("--zoom", type=int, choices=[1, 2], default=1, help="of all candidates")
    parser.add_argument("--still-camera", action="store_true", help="take the camera's part out of the flow")
    parser.add_argument(
        "--viewers", type=float, default=1.0, help="share of a video frame's viewers drawn in each iteration"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--every", type=int, default=3, help="frames used, in training too; neighbours are alike"
    )
    parser.add_argument("--stills", type=Path, help="results/{ds} of still images to train on before")
    parser.add_argument("--stills-iters", type=int, nargs="+", default=[0], help="one candidate each")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--maps", type=Path, help="folder for a map per video, of the first candidate and seed"
    )
    parser.add_argument("--per-video", type=Path, help="also write every video's scores here")
    return parser.parse_args()


def main() -> None:
    """Run all candidates in turn; rows are added to the file as they come."""
    arguments = arguments_given()
    torch.set_num_threads(arguments.threads)
    values = read(arguments.config)
    base = override(values, [])
    plan = Plan(base)
    results = arguments.results or Path("results") / plan.ds
    candidates = arguments.set or [[]]
    nets = [override(values, words).of_model("lite") for words in candidates]
    seen = Seen(
        arguments.every,
        arguments.zoom,
        mirror=any(train_cfg.flip for _, train_cfg in nets),
        features=all(net_cfg.lite is None or net_cfg.lite.backbone == "frozen" for net_cfg, _ in nets),
        still_camera=arguments.still_camera,
    )
    videos = plan.train if arguments.videos == "train" else plan.videos
    folders = (results, arguments.inputs or results, arguments.stills)
    material = gather(folders, base, videos, seen, arguments.viewers < 1)
    how = Validation(folds(videos, arguments.folds), arguments.half_lives, arguments.maps)
    shared = [
        f"zoom={arguments.zoom}",
        *arguments.words,
        *(["camera=still"] if arguments.still_camera else []),
        *([f"viewers={arguments.viewers:g}"] if arguments.viewers < 1 else []),
    ]
    for assignments in candidates:
        config = override(values, [*assignments, f"models.lite.net.lite.zoom={arguments.zoom}"])
        for seed, iters in product(arguments.seeds, arguments.stills_iters):
            start = time.perf_counter()
            recipe = Recipe(config, seed, arguments.viewers)
            each, loss = validated(recipe, how, material, iters)
            how = replace(how, maps=None)
            words = [*assignments, *shared, *([f"stills={iters}"] if iters else [])]
            facts = {"candidate": " ".join(words), "every": arguments.every, "seed": seed}
            means = each.drop(columns="video").groupby("half_life").mean().reset_index()
            table = pd.DataFrame({**facts, **means.round(4), "training_loss": round(loss, 4)})
            add(table, arguments.out)
            if arguments.per_video:
                add(pd.DataFrame({**facts, **each.round(6)}), arguments.per_video)
            print(f"{time.perf_counter() - start:.0f} s\n{table.to_string(index=False)}", flush=True)


if __name__ == "__main__":
    main()
