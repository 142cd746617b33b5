"""Features of a frozen net, computed once per frame: what the head of `nets.static_flow.Pretrained` is trained on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import Dataset

from dynsal.clips import Clip
from dynsal.codebook import nearest_word
from dynsal.losses import Batch
from dynsal.motion_samples import coarse
from dynsal.nets.static_flow import Pretrained, normalise


class Features(NamedTuple):
    """Of one motion clip."""

    features: Tensor
    """N x 2 x 472 x 20 x 20 float16: of every frame, and of its mirror image."""
    motion: Tensor
    """N x 2 x 2 x 20 x 20 float32, pixels over five frames at 320x240, likewise."""


def seen(images: Sequence[NDArray[np.uint8]], side: int) -> Tensor:
    """Return N x 3 x side x side of H x W x 3 images of any size: squeezed bilinearly, BGR minus the mean, float32."""
    small = np.stack([cv2.resize(image, (side, side)) for image in images])
    return normalise(torch.from_numpy(small).permute(0, 3, 1, 2))


@torch.inference_mode()
def features_of(path: Path, net: Pretrained, device: torch.device) -> Features:
    """Return the features and the motion of a clip, and of its mirror image.

    Raises
    ------
    DataError
        If the file is missing or damaged.
    """
    net = net.to(device).eval()
    features, motion = [], []
    with Clip(path) as clip:
        for position in range(len(clip)):
            image, field = seen([clip.bgr(position)], net.side), torch.from_numpy(coarse(clip.flow(position)))
            both = torch.cat([image, image.flip(3)]).to(device)
            features.append(net.features(both).half().cpu())
            motion.append(torch.stack([field, field.flip(2) * torch.tensor([-1.0, 1.0])[:, None, None]]))
    return Features(torch.stack(features), torch.stack(motion))


class FeatureSamples(Dataset[dict[str, Tensor]]):
    """Map-style data set over frames and, in training, their mirror images.

    Items are features (472 x 20 x 20 float16) and motion (2 x 20 x 20 float32). All lies in memory: .75 MB per frame.

    Parameters
    ----------
    clips
        Of :func:`features_of`.
    mirrored
        Whether mirror images count as frames of their own.
    """

    def __init__(self, clips: Iterable[Features], *, mirrored: bool) -> None:
        self._items = [
            (clip.features[k, side], clip.motion[k, side])
            for clip in clips
            for k in range(len(clip.motion))
            for side in range(2 if mirrored else 1)
        ]
        self.groups = [list(range(len(self._items)))]

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        features, motion = self._items[index]
        return {"features": features, "motion": motion}


class HeadObjective:
    """Cross-entropy of the nearest codeword, as `motion_samples.Objective`, for the head alone.

    Parameters
    ----------
    codebook
        40 x 2, pixels over five frames at 320x240.
    """

    def __init__(self, codebook: NDArray[np.float64]) -> None:
        self._codebook = torch.from_numpy(codebook).float()

    def __call__(self, net: nn.Module, batch: Batch) -> Tensor:
        """Return the loss of a `Pretrained` net on features."""
        words = nearest_word(batch["motion"], self._codebook.to(batch["motion"].device))
        logits = net(batch["features"].float())
        return functional.cross_entropy(logits.float(), words, reduction="sum") / len(words)
