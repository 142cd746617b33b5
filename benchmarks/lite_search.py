"""Compare recipes of arch `lite` by cross-validation, on the training videos of a configuration or on all of its videos.

To choose a recipe, use the training videos: test videos are then never read. To know more about a recipe that is fixed, use all
(``--videos all``). Videos of the same scene or people stay in one fold. The features of the frozen backbone are computed once, of every frame and
of its mirror image; a training of what is learnt then takes seconds. So the backbone must be frozen here. Each candidate is a
set of overrides of the configuration; one row per candidate, seed and half-life of the memory, averaged over the videos.
The data must be there: ``snakemake --configfile config/hevc33.yaml flows``.

``--stills`` trains each net on still images with gaze before, for as many iterations as ``--stills-iters`` says, by the same
recipe; their frames and gaze must be there, too (target ``stills``).

Example: ``python benchmarks/lite_search.py --config config/hevc33.yaml --out lite_search.csv
--set models.lite.train.max_iters=200 --set models.lite.train.max_iters=400``
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import yaml
from recipe_search import override
from torch import Tensor, nn
from torch.utils.data import Dataset

from dynsal.clips import Clip
from dynsal.config import Config
from dynsal.evaluation import Reference, score_video
from dynsal.evaluation import fitted as fitted_to
from dynsal.losses import Batch, loss_function
from dynsal.memory import Memory
from dynsal.nets import build
from dynsal.nets.backbone import Backbone
from dynsal.nets.coding import decode, flow_image
from dynsal.nets.lite import SCALES, Lite, zoomed
from dynsal.references import load_references
from dynsal.samples import ClipSamples, sources, still_sources
from dynsal.training import Job, train
from dynsal.workflow import Plan

RELATIVES = (
    ("Simo", "Male", "Female", "Lee", "Yan", "Couple"),
    ("Vidyo1", "Vidyo3", "Vidyo4", "FourPeople", "KristenAndSara", "Johnny"),
    ("BasketballDrill", "BasketballDrillText", "BasketballDrive", "BasketballPass"),
    ("RaceHorsesC", "RaceHorsesD"),
    ("SlideEditing", "SlideShow"),
    ("PartyScene", "BlowingBubbles"),
)
"""Videos of hevc33 that show the same scene, the same people or the same kind of recording."""
METRICS = ("sauc", "sauc_same_video", "chi2", "nss", "cc", "sim", "kld")
_FEATURES = ("fine", "middle", "coarse")

Item = dict[str, Tensor]
"""A frame's features, flow and gaze."""


def folds(videos: Sequence[str], count: int) -> list[list[str]]:
    """Share videos out to ``count`` folds, relatives together: the largest groups first, each to the smallest fold."""
    grouped = [[video for video in group if video in videos] for group in RELATIVES]
    known = {video for group in grouped for video in group}
    grouped += [[video] for video in videos if video not in known]
    parts: list[list[str]] = [[] for _ in range(count)]
    for group in sorted(grouped, key=len, reverse=True):
        min(parts, key=len).extend(group)
    return parts


class Cached(Dataset[dict[str, Tensor]]):
    """The frames with a fixation of one or more videos, as features of the backbone instead of pictures."""

    def __init__(self, items: list[Item]) -> None:
        self.items = items
        self.groups = [list(range(len(items)))]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        return self.items[number]


@torch.inference_mode()
def cached(samples: ClipSamples, backbone: Backbone, every: int, zoom: int, mirror: bool) -> list[Item]:
    """Return every n-th fixated frame of a video: features, those of the mirror image if wanted, flow, gaze."""
    items = []
    for number in range(0, len(samples), every):
        item = dict(samples[number])
        frame = item.pop("frame")[None]
        images = {"": frame, "mirrored ": frame.flip(-1)} if mirror else {"": frame}
        for prefix, image in images.items():
            found = backbone(zoomed(image.float(), zoom))
            for name, scale in zip(_FEATURES, SCALES, strict=True):
                item[prefix + name] = found[scale][0].half()
        items.append({name: value.clone() for name, value in item.items()})
    return items


def apply(net: nn.Module, batch: Batch, bound: float, prefix: str = "") -> Tensor:
    """Return the logits for cached features."""
    assert isinstance(net, Lite)
    flow = batch["flow"]
    if prefix:
        flow = torch.cat([-flow[:, :1], flow[:, 1:]], 1).flip(-1)
    features = [batch[prefix + name].float() for name in _FEATURES]
    return net.read(features, flow_image(flow, bound), (flow.shape[2], flow.shape[3]))


def fitted(
    config: Config, items: list[Item], seed: int, start: dict[str, Tensor] | None = None, iters: int = 0
) -> tuple[nn.Module, float]:
    """Train on cached frames, from random weights or a start; return the net and the last training loss."""
    net_cfg, train_cfg = config.of_model("lite")
    train_cfg = train_cfg.model_copy(update={"max_iters": iters}) if iters else train_cfg
    loss = loss_function(train_cfg, net_cfg)

    def objective(net: nn.Module, batch: Batch) -> Tensor:
        if train_cfg.flip and bool(torch.rand(()) < 0.5):
            seen = {name: batch[name].flip(-1) for name in ("density", "fixations")}
            return loss(apply(net, batch, config.flow.bound, "mirrored "), seen)
        return loss(apply(net, batch, config.flow.bound), batch)

    net = build("lite", net_cfg, seed)
    if start is not None:
        net.load_state_dict(start)
    with tempfile.TemporaryDirectory() as folder:
        job = Job(train_cfg, objective, seed, Path(folder) / "c", "search", torch.device("cpu"))
        outcome = train(net, Cached(items), job)
    return net, float(np.mean([row["loss"] for row in outcome.history[-20:]]))


@torch.inference_mode()
def maps(net: nn.Module, items: list[Item], bound: float) -> Iterator[np.ndarray]:
    """Yield the map of every cached frame."""
    for start in range(0, len(items), 16):
        part = items[start : start + 16]
        batch = {name: torch.stack([item[name] for item in part]) for name in ("flow", *_FEATURES)}
        yield from decode(apply(net, batch, bound), "log_density")[:, 0].numpy()


@dataclass(frozen=True)
class Material:
    """What all candidates share: cached frames and references of the videos, and cached still images."""

    store: dict[str, list[Item]]
    references: dict[str, Reference]
    fps: dict[str, float]
    stills: list[Item]


def scores(reference: Reference, found: list[np.ndarray], fps: float, half_life: float) -> dict[str, float]:
    """Return the mean scores of a video's maps after the memory."""
    indices = reference.frames.tolist()
    if half_life:
        memory = Memory(half_life, fps)
        found = [memory(index, saliency) for index, saliency in zip(indices, found, strict=True)]
    table = score_video(reference, fitted_to(zip(indices, found, strict=True), reference.size))
    return {name: float(table[name].mean()) for name in METRICS}


def gather(arguments: argparse.Namespace, base: Config, videos: list[str], mirror: bool) -> Material:
    """Compute the features of all videos and still images, and read the gaze."""
    results, every = arguments.results, arguments.every
    backbone = Backbone().eval()
    references = load_references(results, videos, base.gaze, base.evaluate)
    store, fps, stills = {}, {}, []
    for video, reference in references.items():
        seen = sources(arguments.inputs or results, [video], [1])
        samples = ClipSamples(seen, base.gaze, ("frame", "flow"))
        store[video] = cached(samples, backbone, every, arguments.zoom, mirror)
        with Clip(results / "frames" / f"{video}.h5") as clip:
            fps[video] = float(clip.attrs["source_fps"])
        fixated = [frame for frame in reference.frames.tolist() if frame in reference.points]
        references[video] = replace(reference, frames=np.array(fixated[::every], np.int32), names=METRICS)
    if arguments.stills:
        shards = sorted(path.stem for path in (arguments.stills / "frames").glob("train_*.h5"))
        still = ClipSamples(still_sources(arguments.stills, shards, False), base.gaze, ("frame", "flow"))
        stills = cached(still, backbone, 1, arguments.zoom, mirror)
    return Material(store, references, fps, stills)


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


def validated(
    config: Config, how: Validation, material: Material, seed: int, iters: int
) -> tuple[pd.DataFrame, float]:
    """Train one net per fold; return the scores per held-out video and half-life, and the mean of the last training loss."""
    start, rows, losses = None, [], []
    if iters:
        net, _ = fitted(config, material.stills, seed, iters=iters)
        start = net.state_dict()
    for held_out in how.parts:
        items = [item for video, items in material.store.items() if video not in held_out for item in items]
        net, loss = fitted(config, items, seed, start)
        losses.append(loss)
        for video in held_out:
            found = list(maps(net, material.store[video], config.flow.bound))
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
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--results", type=Path, default=None, help="results/{ds}, if elsewhere")
    parser.add_argument(
        "--inputs",
        type=Path,
        help="the same of another working size: what nets see, if not what they are scored at",
    )
    parser.add_argument("--set", nargs="*", action="append", default=[], help="overrides of one candidate")
    parser.add_argument(
        "--videos", choices=["train", "all"], default="train", help="which are shared out to folds"
    )
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--half-lives", type=float, nargs="+", default=[0.0])
    parser.add_argument("--zoom", type=int, choices=[1, 2], default=1, help="of all candidates")
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
    torch.set_num_threads(1)
    values = yaml.safe_load(arguments.config.read_text(encoding="utf-8"))
    base = override(values, [])
    plan = Plan(base)
    arguments.results = arguments.results or Path("results") / plan.ds
    mirror = any(override(values, words).of_model("lite")[1].flip for words in arguments.set)
    videos = plan.train if arguments.videos == "train" else plan.videos
    material = gather(arguments, base, videos, mirror)
    how = Validation(folds(videos, arguments.folds), arguments.half_lives, arguments.maps)
    for assignments in arguments.set or [[]]:
        config = override(values, [*assignments, f"models.lite.net.lite.zoom={arguments.zoom}"])
        for seed, iters in product(arguments.seeds, arguments.stills_iters):
            start = time.perf_counter()
            each, loss = validated(config, how, material, seed, iters)
            how = replace(how, maps=None)
            words = [*assignments, f"zoom={arguments.zoom}", *([f"stills={iters}"] if iters else [])]
            facts = {"candidate": " ".join(words), "every": arguments.every, "seed": seed}
            means = each.drop(columns="video").groupby("half_life").mean().reset_index()
            table = pd.DataFrame({**facts, **means.round(4), "training_loss": round(loss, 4)})
            add(table, arguments.out)
            if arguments.per_video:
                add(pd.DataFrame({**facts, **each.round(6)}), arguments.per_video)
            print(f"{time.perf_counter() - start:.0f} s\n{table.to_string(index=False)}", flush=True)


if __name__ == "__main__":
    main()
