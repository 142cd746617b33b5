"""Frames and flow in, saliency maps out; streaming, so that memory does not grow with a video's length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from dynsal.config import FlowConfig, NetConfig
from dynsal.errors import DataError
from dynsal.memory import Memory
from dynsal.nets import REGISTRY
from dynsal.nets.coding import apply, count_clipped, decode

Frames = NDArray[np.uint8]
Maps = NDArray[np.float32]


class Predictor:
    """A net with everything needed to apply it.

    Parameters
    ----------
    net
        The net; it is moved to ``device`` and to evaluation mode.
    meta
        The metadata of its model file; ``arch``, ``net``, ``flow`` and, where there is one, ``memory`` are used.
    device
        Where to compute.

    Attributes
    ----------
    blank_maps
        How many maps were zero everywhere after decoding and were replaced by uniform ones (all 1), so that they can
        be normalised and score as a guess.
    clipped_pixels, flow_pixels
        How many pixels of flow were beyond the bound of the flow image, of how many.
    """

    def __init__(self, net: nn.Module, meta: dict[str, Any], device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self.net = net.to(device=self.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        self.inputs = REGISTRY[meta["arch"]].inputs
        self.coding = NetConfig.model_validate({**meta["net"], "init": "he"}).coding
        self.bound = float(FlowConfig.model_validate(meta["flow"]).bound) if "flow" in self.inputs else 1.0
        self.half_life = float(meta.get("memory", 0.0))
        self.blank_maps = self.clipped_pixels = self.flow_pixels = 0

    def __call__(self, frames: Frames | None, flow: NDArray[np.floating] | None) -> Maps:
        """Return N x H x W float32 maps, each non-negative with a positive sum.

        Parameters
        ----------
        frames
            N x H x W x 3 uint8, BGR; None if the net ignores frames.
        flow
            N x H x W x 2, u and v in pixels; None if the net ignores flow.

        Raises
        ------
        ValueError
            If an input that the net needs is missing, or the sides are no multiples of 4.
        DataError
            If the net returns anything that is not finite.
        """
        batch = {}
        for name, array in (("frame", frames), ("flow", flow)):
            if name in self.inputs:
                if array is None:
                    raise ValueError(f"this net needs {name}")
                batch[name] = (
                    torch.from_numpy(np.ascontiguousarray(array)).to(self.device).permute(0, 3, 1, 2)
                )
        if "flow" in batch:
            self.clipped_pixels += count_clipped(batch["flow"], self.bound)
            self.flow_pixels += batch["flow"][:, 0].numel()
        with torch.inference_mode():
            maps = decode(apply(self.net, batch, self.bound, channels_last=True), self.coding)[:, 0]
            sums = maps.sum((1, 2), keepdim=True)
            if not bool(torch.isfinite(sums).all()):
                raise DataError(
                    "the model", "it returned values that are not finite", "Train it with a lower rate"
                )
            self.blank_maps += int((sums <= 0).sum())
            return np.asarray(torch.where(sums > 0, maps, 1.0).cpu().numpy(), np.float32)

    def predict_stream(
        self,
        items: Iterable[tuple[int, Frames | None, NDArray[np.floating] | None]],
        batch_size: int = 8,
        fps: float | None = None,
    ) -> Iterator[tuple[int, Maps]]:
        """Yield (frame index, H x W map) in the order of the items, holding one batch at a time.

        A net with a memory averages over the maps before, from the first item on; see `dynsal.memory`.

        Parameters
        ----------
        items
            Frame index, H x W x 3 frame, H x W x 2 flow; one size per batch, so a change of size starts a new one.
        batch_size
            Frames per forward pass.
        fps
            If the items are frames of one video, in order: how many of its indices make a second. None for images that have
            nothing to do with each other: nothing is then remembered.
        """
        maps = self._maps(items, batch_size)
        return maps if fps is None else self.remembered(maps, fps)

    def remembered(self, maps: Iterable[tuple[int, Maps]], fps: float) -> Iterator[tuple[int, Maps]]:
        """Average the maps of one video's frames, in order, over time, if the net has a memory; else yield them as they are.

        ``fps`` says how many of the indices make a second.
        """
        if not self.half_life:
            return iter(maps)
        memory = Memory(self.half_life, fps)
        return ((index, memory(index, saliency)) for index, saliency in maps)

    def _maps(
        self, items: Iterable[tuple[int, Frames | None, NDArray[np.floating] | None]], batch_size: int
    ) -> Iterator[tuple[int, Maps]]:
        batch: list[tuple[int, Frames | None, NDArray[np.floating] | None]] = []
        for item in items:
            if batch and (len(batch) >= batch_size or _size(item) != _size(batch[0])):
                yield from self._flush(batch)
                batch = []
            batch.append(item)
        if batch:
            yield from self._flush(batch)

    def _flush(
        self, batch: list[tuple[int, Frames | None, NDArray[np.floating] | None]]
    ) -> Iterator[tuple[int, Maps]]:
        frames = [frame for _, frame, _ in batch if frame is not None]
        flows = [uv for _, _, uv in batch if uv is not None]
        maps = self(np.stack(frames) if frames else None, np.stack(flows) if flows else None)
        for (index, _, _), saliency in zip(batch, maps, strict=True):
            yield index, saliency


def _size(item: tuple[int, Frames | None, NDArray[np.floating] | None]) -> list[tuple[int, ...]]:
    return [array.shape[:2] for array in item[1:] if array is not None]
