"""What goes into a net and what its output means: every scaling of inputs and targets, with its inverse.

SalNet codes a density map as bytes g = 255 * density / max and trains on t = (g - 31) * 2/255 (its issue #9). The
inverse is g = 127.5 t + 31. The authors' post-processing, 128 p + 127, is *not*: a perfect net would get a background
of 96/255 from it and chi2 = 0.62 against its own ground truth. So both directions live here, with one set of constants.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Coding = Literal["salnet", "log_density"]

BYTE_MAX = 255.0
TARGET_MEAN = 31.0
"""Byte that becomes 0 in SalNet's target."""
SCALE = 2.0 / BYTE_MAX
"""Factor of SalNet's inputs and targets (its prototxt: 0.0078431372549)."""
FRAME_MEAN_BGR = (100.0, 110.0, 118.0)
"""SalNet's image mean in B, G, R order."""


def encode(density: Tensor, coding: Coding) -> Tensor:
    """Return the training target of density maps, N x 1 x H x W, any positive scale.

    ``salnet``: (g - 31) * 2/255 with g = 255 * density / max, each map by its own maximum; an all-zero map becomes
    the target of an all-zero byte map. ``log_density``: the densities divided by their sums.
    """
    density = density.float()
    if coding == "salnet":
        peak = density.amax((1, 2, 3), keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)
        return (BYTE_MAX * (density / peak) - TARGET_MEAN) * SCALE
    return density / density.sum((1, 2, 3), keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)


def decode(output: Tensor, coding: Coding) -> Tensor:
    """Return non-negative float32 maps from a net's output, N x 1 x H x W.

    ``salnet``: bytes, clip(127.5 p + 31, 0), not cut at 255. ``log_density``: softmax over the pixels, sum 1.
    """
    if coding == "salnet":
        return (output.float() / SCALE + TARGET_MEAN).clamp_min(0)
    return log_density(output).exp()


def log_density(output: Tensor) -> Tensor:
    """Return the logarithm of the softmax over the pixels of each map."""
    return functional.log_softmax(output.float().flatten(1), dim=1).view(output.shape)


def normalise_frame(frame: Tensor) -> Tensor:
    """Return the net's frame input from N x 3 x H x W uint8 BGR: (frame - (100, 110, 118)) * 2/255."""
    mean = torch.tensor(FRAME_MEAN_BGR, device=frame.device)[:, None, None]
    return (frame - mean) * SCALE


def flow_image(uv: Tensor, bound: float) -> Tensor:
    """Return the net's flow input, N x 3 x H x W: u, v and magnitude over ``bound``, clipped to [-1, 1].

    Parameters
    ----------
    uv
        N x 2 x H x W, pixels, any float type.
    bound
        Pixels that become 1.
    """
    uv = uv.float()
    return (torch.cat([uv, uv.square().sum(1, keepdim=True).sqrt()], dim=1) / bound).clamp(-1, 1)


def apply(net: nn.Module, batch: Mapping[str, Tensor], bound: float, channels_last: bool) -> Tensor:
    """Return a net's output for raw inputs on its device.

    Parameters
    ----------
    net
        Any net of this package.
    batch
        ``frame`` uint8 N x 3 x H x W (BGR) and ``flow`` N x 2 x H x W (pixels); one that the net ignores may lack.
    bound
        See :func:`flow_image`.
    channels_last
        Memory layout of the net's inputs, which that of the activations follows.
    """
    layout = torch.channels_last if channels_last else torch.contiguous_format
    frame = normalise_frame(batch["frame"]) if "frame" in batch else torch.empty(0, 3, 0, 0)
    flow = flow_image(batch["flow"], bound) if "flow" in batch else torch.empty(0, 3, 0, 0)
    return torch.as_tensor(net(frame.contiguous(memory_format=layout), flow.contiguous(memory_format=layout)))


def count_clipped(uv: Tensor, bound: float) -> int:
    """Return how many pixels of N x 2 x H x W :func:`flow_image` clips: those whose magnitude exceeds ``bound``."""
    return int((uv.float().square().sum(1).sqrt() > bound).sum())
