"""What `lite_search.py` trains on and scores: cached features of frames, and how a net of arch `lite` is applied to them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from folds import METRICS
from torch import Tensor, nn
from torch.utils.data import Dataset

from dynsal import gaze
from dynsal.camera_motion import remove_camera
from dynsal.clips import Clip
from dynsal.config import Config
from dynsal.evaluation import Reference
from dynsal.losses import Batch, loss_function
from dynsal.nets import build, coding
from dynsal.nets.backbone import Backbone
from dynsal.nets.lite import SCALES, Lite, zoomed
from dynsal.references import load_references
from dynsal.samples import ClipSamples, sources, still_sources
from dynsal.training import Job, train

_FEATURES = ("fine", "middle", "coarse")

Item = dict[str, Tensor]
"""A frame, its features, flow and gaze."""


class Cached(Dataset[dict[str, Tensor]]):
    """The frames with a fixation of one or more videos, with the backbone's features."""

    def __init__(self, items: list[Item]) -> None:
        self.items = items
        self.groups = [list(range(len(items)))]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        return self.items[number]


@dataclass(frozen=True)
class Seen:
    """What nets see of the data.

    Parameters
    ----------
    every
        Every n-th frame with gaze is used.
    zoom
        Enlargement before the backbone.
    mirror
        Whether the features of the mirror images are wanted, too.
    features
        Whether the backbone is frozen, so that its features may be computed beforehand; else the frames are kept.
    still_camera
        Whether the camera's part is taken out of the flow.
    """

    every: int
    zoom: int
    mirror: bool = False
    features: bool = True
    still_camera: bool = False


@torch.inference_mode()
def cached(samples: ClipSamples, backbone: Backbone, seen: Seen) -> list[Item]:
    """Return the frames of a video that are used: features, those of the mirror image if wanted, flow, gaze."""
    items = []
    for number in range(0, len(samples), seen.every):
        item = dict(samples[number])
        if seen.still_camera:
            field = remove_camera(item["flow"].permute(1, 2, 0).float().numpy())
            item["flow"] = torch.from_numpy(field).permute(2, 0, 1).half()
        if seen.features:
            frame = item.pop("frame")[None]
            images = {"": frame, "mirrored ": frame.flip(-1)} if seen.mirror else {"": frame}
            for prefix, image in images.items():
                found = backbone(zoomed(image.float(), seen.zoom))
                for name, scale in zip(_FEATURES, SCALES, strict=True):
                    item[prefix + name] = found[scale][0].half()
        items.append({name: value.clone() for name, value in item.items()})
    return items


def with_viewers(items: list[Item], file: gaze.GazeFile, reference: Reference, most: int) -> list[Item]:
    """Return the items with the points of their frames and whose they are, filled up to ``most`` with nobody's (-1)."""
    size = (items[0]["density"].shape[2], items[0]["density"].shape[1])
    sigma = torch.tensor([reference.sigma[axis] * size[axis] / reference.size[axis] for axis in (0, 1)])
    found = []
    for item, frame in zip(items, reference.frames.tolist(), strict=True):
        points, who = file.points[frame], np.unique(file.subjects[frame], return_inverse=True)[1]
        padded, viewer = np.zeros((most, 2)), np.full(most, -1)
        padded[: len(points)] = gaze.scale_points(points, file.size[0] / size[0])
        viewer[: len(points)] = who
        more = {"points": torch.from_numpy(padded), "viewer": torch.from_numpy(viewer), "sigma": sigma}
        found.append({**item, **more})
    return found


def resampled(batch: Batch, share: float) -> Batch:
    """Return a batch whose density and fixations are those of a random share of every frame's viewers, one at least."""
    density, fixations = [], []
    height, width = batch["density"].shape[2:]
    for points, viewer, sigma in zip(batch["points"], batch["viewer"], batch["sigma"].tolist(), strict=True):
        count = int(viewer.max()) + 1
        chosen = torch.randperm(count)[: max(1, round(share * count))]
        kept = points[torch.isin(viewer, chosen)].numpy()
        density.append(torch.from_numpy(gaze.density(kept, (width, height), tuple(sigma))).float())
        fixations.append(torch.from_numpy(gaze.fixation_bytes(kept, (width, height))))
    return {**batch, "density": torch.stack(density)[:, None], "fixations": torch.stack(fixations)[:, None]}


def apply(net: nn.Module, batch: Batch, bound: float, prefix: str = "") -> Tensor:
    """Return the logits for cached features, or for frames where there are none."""
    assert isinstance(net, Lite)
    flow = batch["flow"]
    if prefix:
        flow = torch.cat([-flow[:, :1], flow[:, 1:]], 1).flip(-1)
    if "frame" in batch:
        frame = batch["frame"].flip(-1) if prefix else batch["frame"]
        return coding.apply(net, {"frame": frame, "flow": flow}, bound, True)
    features = [batch[prefix + name].float() for name in _FEATURES]
    return net.read(features, coding.flow_image(flow, bound), (flow.shape[2], flow.shape[3]))


@dataclass(frozen=True)
class Recipe:
    """How a net is trained on cached frames.

    Parameters
    ----------
    config
        Section ``models.lite`` of it.
    seed
        Of weights and order.
    viewers
        Share of the viewers drawn anew for every frame and iteration, where frames say who looked.
    """

    config: Config
    seed: int
    viewers: float = 1.0


def fitted(
    recipe: Recipe, items: list[Item], start: dict[str, Tensor] | None = None, iters: int = 0
) -> tuple[nn.Module, float]:
    """Train on cached frames, from random weights or a start; return the net and the last training loss."""
    config = recipe.config
    net_cfg, train_cfg = config.of_model("lite")
    train_cfg = train_cfg.model_copy(update={"max_iters": iters}) if iters else train_cfg
    loss = loss_function(train_cfg, net_cfg)

    def objective(net: nn.Module, batch: Batch) -> Tensor:
        if "points" in batch:
            batch = resampled(batch, recipe.viewers)
        if train_cfg.flip and bool(torch.rand(()) < 0.5):
            target = {name: batch[name].flip(-1) for name in ("density", "fixations")}
            return loss(apply(net, batch, config.flow.bound, "mirrored "), target)
        return loss(apply(net, batch, config.flow.bound), batch)

    net = build("lite", net_cfg, recipe.seed)
    if start is not None:
        net.load_state_dict(start)
    with tempfile.TemporaryDirectory() as folder:
        job = Job(train_cfg, objective, recipe.seed, Path(folder) / "c", "search", torch.device("cpu"))
        outcome = train(net, Cached(items), job)
    return net, float(np.mean([row["loss"] for row in outcome.history[-20:]]))


@torch.inference_mode()
def maps(net: nn.Module, items: list[Item], bound: float) -> Iterator[np.ndarray]:
    """Yield the map of every cached frame."""
    names = ("flow", *(["frame"] if "frame" in items[0] else _FEATURES))
    for start in range(0, len(items), 16):
        part = items[start : start + 16]
        batch = {name: torch.stack([item[name] for item in part]) for name in names}
        yield from coding.decode(apply(net, batch, bound), "log_density")[:, 0].numpy()


@dataclass(frozen=True)
class Material:
    """What all candidates share: cached frames and references of the videos, and cached still images."""

    store: dict[str, list[Item]]
    references: dict[str, Reference]
    fps: dict[str, float]
    stills: list[Item]


def gather(
    folders: tuple[Path, Path, Path | None], config: Config, videos: list[str], seen: Seen, viewers: bool
) -> Material:
    """Compute the features of all videos and still images, and read the gaze.

    Parameters
    ----------
    folders
        Where the scores' gaze is, where nets' inputs are, and the still images, if any.
    config, videos, seen
        See `Seen`.
    viewers
        Whether every frame of the videos is to say who looked where.
    """
    results, inputs, still_folder = folders
    backbone = Backbone().eval()
    references = load_references(results, videos, config.gaze, config.evaluate)
    store, fps, stills = {}, {}, []
    for video, reference in references.items():
        samples = ClipSamples(sources(inputs, [video], [1]), config.gaze, ("frame", "flow"))
        store[video] = cached(samples, backbone, seen)
        with Clip(results / "frames" / f"{video}.h5") as clip:
            fps[video] = float(clip.attrs["source_fps"])
        fixated = [frame for frame in reference.frames.tolist() if frame in reference.points]
        references[video] = replace(
            reference, frames=np.array(fixated[:: seen.every], np.int32), names=METRICS
        )
    if viewers:
        files = {video: gaze.read_gaze(inputs / "gaze" / f"{video}.parquet") for video in videos}
        most = max(len(points) for file in files.values() for points in file.points.values())
        for video, file in files.items():
            store[video] = with_viewers(store[video], file, references[video], most)
    if still_folder:
        shards = sorted(path.stem for path in (still_folder / "frames").glob("train_*.h5"))
        still = ClipSamples(still_sources(still_folder, shards, False), config.gaze, ("frame", "flow"))
        stills = cached(still, backbone, replace(seen, every=1, still_camera=False))
    return Material(store, references, fps, stills)
