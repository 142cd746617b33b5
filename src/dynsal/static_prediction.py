"""Motion predicted from single images, by a trained static flow net: soft decoding, enlargement, units."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from dynsal.codebook import DECODERS, Codebook, Decoding
from dynsal.config_transfer import StaticFlowConfig
from dynsal.errors import DataError
from dynsal.motion_features import seen
from dynsal.motion_samples import enlarge
from dynsal.nets.static_flow import build_static_flow
from dynsal.nets.weights import read_model
from dynsal.summed_motion import SIZE, SPAN

Image = NDArray[np.uint8]
Field = NDArray[np.float32]

KIND = "static_flow"
"""``arch`` in the metadata of such a model."""


class StaticFlow:
    """A trained static flow net, ready for images of any size.

    Parameters
    ----------
    path
        Its model.safetensors.
    device
        Where to compute.

    Raises
    ------
    DataError
        If the file is missing, damaged or of another kind.
    """

    def __init__(self, path: Path, device: torch.device | str = "cpu") -> None:
        tensors, meta = read_model(path)
        try:
            if meta["arch"] != KIND:
                raise ValueError(f"its arch is {meta['arch']}")
            config = StaticFlowConfig.model_validate_json(json.dumps(meta["net"]))
            net = build_static_flow(config, pretrained=False)
            net.load_state_dict(tensors)
            codebook: Codebook = np.asarray(meta["codebook"], np.float64)
        except (KeyError, ValueError, RuntimeError) as error:
            raise DataError(
                path, f"is no static flow net of this package ({error})", "Train it again"
            ) from None
        self.device = torch.device(device)
        self.net = net.to(self.device).eval()
        self.temperature = config.temperature
        self.decode: Decoding = config.decode
        self.codebook = torch.from_numpy(codebook).float().to(self.device)

    @torch.inference_mode()
    def coarse(self, images: list[Image], decode: Decoding | None = None) -> torch.Tensor:
        """Return the motion in every cell, N x 2 x 20 x 20, pixels over five frames at 320x240.

        Images are squeezed to the net's side by bilinear interpolation, as the authors' program does. ``decode`` is that
        of the configuration unless given.
        """
        logits = self.net(seen(images, self.net.side).to(self.device)).float() / self.temperature
        return DECODERS[decode or self.decode](logits, self.codebook).cpu()

    def summed(self, images: list[Image], decode: Decoding | None = None) -> NDArray[np.float32]:
        """Return the motion over five frames at 320x240, N x 240 x 320 x 2, in its own unit."""
        field = enlarge(self.coarse(images, decode), SIZE[1], SIZE[0])
        return np.asarray(field.permute(0, 2, 3, 1).numpy(), np.float32)

    def __call__(self, images: list[Image]) -> list[Field]:
        """Return the motion of images of one size, each H x W x 2: u and v in **pixels per frame at that size**."""
        height, width = images[0].shape[:2]
        scale = torch.tensor([width / SIZE[0], height / SIZE[1]])[:, None, None] / SPAN
        fields = enlarge(self.coarse(images) * scale, height, width).permute(0, 2, 3, 1)
        return list(fields.numpy())

    def stream(self, images: Iterable[Image], batch_size: int = 16) -> Iterator[Field]:
        """Yield the motion of every image in turn, holding one batch at a time; all images are of one size."""
        batch: list[Image] = []
        for image in images:
            batch.append(image)
            if len(batch) == batch_size:
                yield from self(batch)
                batch = []
        if batch:
            yield from self(batch)
