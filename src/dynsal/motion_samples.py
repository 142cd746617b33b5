"""Training samples and objective of the static flow net (Walker, Gupta, Hebert 2015)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import Dataset

from dynsal.baselines.matlab import imresize
from dynsal.clip_files import ClipFiles
from dynsal.clips import Clip
from dynsal.codebook import nearest_word
from dynsal.losses import Batch
from dynsal.nets.static_flow import CELLS, INPUT, normalise

FACTORS = (80, 120)
"""Brightness factors in training, in hundredths: from the first to one below the second."""


class MotionSamples(Dataset[dict[str, Tensor]]):
    """Map-style data set over the labelled frames of motion clips.

    Items are frame (3 x 240 x 320 uint8, BGR) and motion (2 x 20 x 20 float32, pixels over five frames), the field's
    bicubic reduction to the net's cells. A file is opened on first use in each process.

    Parameters
    ----------
    files
        Motion clips (`dynsal.summed_motion`).

    Attributes
    ----------
    files
        The open clips.

    Raises
    ------
    DataError
        If a file is missing or damaged.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self._items: list[tuple[Path, int]] = []
        self.files = ClipFiles()
        motion = []
        for path in files:
            with Clip(path) as clip:
                for position in range(len(clip)):
                    self._items.append((path, position))
                    motion.append(coarse(clip.flow(position)))
        self._motion = torch.from_numpy(np.array(motion, np.float32))
        self.groups = [list(range(len(self._items)))]

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        path, position = self._items[index]
        frame = self.files[path].bgr(position).transpose(2, 0, 1)
        return {"frame": torch.from_numpy(np.ascontiguousarray(frame)), "motion": self._motion[index]}

    def clips(self) -> set[Path]:
        """Return the files that the samples are read from."""
        return {path for path, _ in self._items}


def coarse(field: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return an H x W x 2 field as 2 x 20 x 20, by Matlab's antialiased bicubic, as the authors reduce theirs."""
    small = imresize(np.asarray(field, np.float32), (CELLS, CELLS))
    return np.ascontiguousarray(small.transpose(2, 0, 1), np.float32)


def enlarge(motion: Tensor, height: int, width: int) -> Tensor:
    """Return N x 2 x 20 x 20 as N x 2 x H x W, by Matlab's bicubic."""
    rows, columns = (
        torch.from_numpy(imresize(np.eye(CELLS), (side, CELLS))).float() for side in (height, width)
    )
    return torch.einsum("hr,ncrs,ws->nchw", rows, motion, columns)


def squeeze(side: int) -> Tensor:
    """Return the rows or columns that the net sees of a whole image: nearest neighbours, round(i (n - 1) / 200)."""
    return torch.floor(torch.arange(INPUT) * (side - 1) / INPUT + 0.5).long()


def recolour(images: Tensor, strength: float) -> Tensor:
    """Return N x 3 x H x W with random colours; ours, against learning a few dozen videos by their colours.

    At strength 1 each image is mixed with its own grey by a share from 0 to 1, every channel is multiplied by .6 to 1.4,
    and gets an offset of standard deviation 30; a lower strength takes all three closer to no change, in proportion.
    Draws from torch's global random numbers on the CPU.
    """
    count, device = len(images), images.device
    grey = strength * torch.rand(count, 1, 1, 1).to(device)
    factor = 1 + strength * (0.8 * torch.rand(count, 3, 1, 1) - 0.4).to(device)
    offset = 30 * strength * torch.randn(count, 3, 1, 1).to(device)
    return torch.lerp(images, images.mean(1, keepdim=True), grey) * factor + offset


def views(batch: Batch, augment: bool) -> tuple[Tensor, Tensor]:
    """Return what the net sees of a batch, and the motion at the centres of its cells.

    In training each image is squeezed or cropped, mirrored or not, and brightened or darkened, by torch's global random
    numbers on the CPU, whose state the training loop keeps: a resumed training goes on as it would have.

    Returns
    -------
    tuple of Tensor
        N x 3 x 200 x 200 (minus the mean) and N x 2 x 20 x 20.
    """
    frame = batch["frame"]
    count, _, height, width = frame.shape
    rows, columns = squeeze(height).repeat(count, 1), squeeze(width).repeat(count, 1)
    mirror, factor = torch.zeros(count, dtype=torch.bool), torch.ones(count)
    if augment:
        cropped = torch.rand(count) < 0.5
        top, left = (torch.randint(side - INPUT + 1, (count, 1)) for side in (height, width))
        rows = torch.where(cropped[:, None], top + torch.arange(INPUT), rows)
        columns = torch.where(cropped[:, None], left + torch.arange(INPUT), columns)
        mirror = torch.rand(count) < 0.5
        factor = torch.randint(*FACTORS, (count,)) / 100
    columns = torch.where(mirror[:, None], columns.flip(1), columns)
    device = frame.device
    each, rows, columns = (part.to(device) for part in (torch.arange(count)[:, None, None], rows, columns))
    seen = normalise(frame.movedim(1, -1)[each, rows[:, :, None], columns[:, None]].movedim(-1, 1))
    centres = torch.arange(CELLS, device=device) * (INPUT // CELLS) + INPUT // CELLS // 2
    field = enlarge(batch["motion"].cpu(), height, width).to(device)
    motion = field.movedim(1, -1)[each, rows[:, centres, None], columns[:, None, centres]].movedim(-1, 1)
    sign = torch.where(mirror.to(device), -1.0, 1.0)
    motion = torch.stack([motion[:, 0] * sign[:, None, None], motion[:, 1]], 1)
    return seen * factor.to(device)[:, None, None, None], motion


class Objective:
    """Cross-entropy of the nearest codeword, summed over the cells and averaged over the batch.

    Parameters
    ----------
    codebook
        40 x 2, pixels over five frames at 320x240.
    colour
        Strength of :func:`recolour` in training; at 0 it draws no random number.
    """

    def __init__(self, codebook: NDArray[np.float64], colour: float = 0.0) -> None:
        self._codebook = torch.from_numpy(codebook).float()
        self._colour = colour

    def __call__(self, net: nn.Module, batch: Batch) -> Tensor:
        """Return the loss; images are changed at random if the net is in training mode."""
        seen, motion = views(batch, augment=net.training)
        if net.training and self._colour:
            seen = recolour(seen, self._colour)
        words = nearest_word(motion, self._codebook.to(motion.device))
        return functional.cross_entropy(net(seen).float(), words, reduction="sum") / len(seen)
