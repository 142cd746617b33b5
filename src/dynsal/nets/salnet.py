"""The single-stream net: SalNet (Pan et al., CVPR 2016), which the paper uses for frames and for flow images.

Its three blocks (head conv1-4, tail conv5-9, deconvolution) are shared with the two-stream nets.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from dynsal.config import NetConfig

STRIDE = 4
"""Input pixels per cell of the grid between the second pool and the deconvolution."""


def channels(base: int, width: float) -> int:
    """Return ``base * width`` rounded to the nearest integer (halves up), at least 1."""
    return max(1, math.floor(base * width + 0.5))


class LocalResponse(nn.Module):
    """Normalisation across channels as in Caffe: x / (1 + 1e-4/5 * sum of squares over 5 channels)^0.75.

    Equal to ``nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0)``. On a CPU the sum over channels is taken by
    a 1x1 convolution with a banded matrix (faster on CPUs), equal to 4e-7 relative.
    """

    SIZE, ALPHA, BETA = 5, 1e-4, 0.75

    def forward(self, x: Tensor) -> Tensor:
        """Normalise N x C x H x W."""
        if x.device.type != "cpu":
            return functional.local_response_norm(x, self.SIZE, self.ALPHA, self.BETA, 1.0)
        index = torch.arange(x.shape[1])
        near = (index[:, None] - index).abs() <= self.SIZE // 2
        band = near.to(x.dtype)[:, :, None, None] * (self.ALPHA / self.SIZE)
        root = torch.rsqrt(functional.conv2d(x * x, band, torch.ones(x.shape[1], dtype=x.dtype)))
        return x * root * torch.sqrt(root)


class Head(nn.Module):
    """conv1 to conv4, each with ReLU; the pools round up (Caffe), so that multiples of 4 stay exact."""

    def __init__(self, width: float) -> None:
        super().__init__()
        c1, c2, c3, c4 = (channels(base, width) for base in (96, 256, 512, 512))
        self.conv1 = _conv(3, c1, 7)
        self.norm = LocalResponse()
        self.pool = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv2 = _conv(c1, c2, 5)
        self.conv3 = _conv(c2, c3, 3)
        self.conv4 = _conv(c3, c4, 5)

    def forward(self, image: Tensor) -> Tensor:
        """Map N x 3 x H x W to N x 512*width x H/4 x W/4."""
        x = self.pool(self.norm(functional.relu(self.conv1(image), inplace=True)))
        x = self.pool(functional.relu(self.conv2(x), inplace=True))
        x = functional.relu(self.conv3(x), inplace=True)
        return functional.relu(self.conv4(x), inplace=True)


class Tail(nn.Module):
    """conv5 to conv9; no ReLU after conv9."""

    def __init__(self, width: float) -> None:
        super().__init__()
        c4, c5, c6, c7, c8 = (channels(base, width) for base in (512, 512, 256, 128, 32))
        self.conv5 = _conv(c4, c5, 5)
        self.conv6 = _conv(c5, c6, 7)
        self.conv7 = _conv(c6, c7, 11)
        self.conv8 = _conv(c7, c8, 11)
        self.conv9 = _conv(c8, 1, 13, gain=1.0)

    def forward(self, x: Tensor) -> Tensor:
        """Map N x 512*width x h x w to N x 1 x h x w."""
        for layer in (self.conv5, self.conv6, self.conv7, self.conv8):
            x = functional.relu(layer(x), inplace=True)
        return torch.as_tensor(self.conv9(x))


class Stream(nn.Module):
    """conv1 to conv9: an image to a map of a quarter of its sides."""

    def __init__(self, width: float) -> None:
        super().__init__()
        self.head = Head(width)
        self.tail = Tail(width)

    def forward(self, image: Tensor) -> Tensor:
        """Map N x 3 x H x W to N x 1 x H/4 x W/4."""
        return torch.as_tensor(self.tail(self.head(image)))


class SalNet(nn.Module):
    """One stream and the deconvolution; looks at one of the two inputs and ignores the other."""

    def __init__(self, config: NetConfig, looks_at: Literal["frame", "flow"]) -> None:
        super().__init__()
        self.looks_at = looks_at
        self.head = Head(config.width)
        self.tail = Tail(config.width)
        self.deconv = bilinear_deconv()

    def forward(self, frame: Tensor, flow: Tensor) -> Tensor:
        """Map N x 3 x H x W (the other input may be anything) to N x 1 x H x W."""
        image = frame if self.looks_at == "frame" else flow
        check_size(image)
        return torch.as_tensor(self.deconv(self.tail(self.head(image))))


class Spatial(SalNet):
    """Appearance only."""

    def __init__(self, config: NetConfig) -> None:
        super().__init__(config, "frame")


class Temporal(SalNet):
    """Motion only."""

    def __init__(self, config: NetConfig) -> None:
        super().__init__(config, "flow")


def check_size(image: Tensor) -> None:
    """Refuse sizes that the net would not return unchanged.

    Raises
    ------
    ValueError
        Naming the nearest sizes that work.
    """
    height, width = image.shape[-2:]
    if height % STRIDE or width % STRIDE or not height or not width:
        below = [max(STRIDE, side // STRIDE * STRIDE) for side in (width, height)]
        above = [max(STRIDE, -(-side // STRIDE) * STRIDE) for side in (width, height)]
        raise ValueError(
            f"the net returns the size of its input only for multiples of {STRIDE}, not for {width}x{height}; "
            f"resize or pad to {below[0]}x{below[1]} or {above[0]}x{above[1]}"
        )


def bilinear_deconv() -> nn.ConvTranspose2d:
    """Return the x4 deconvolution (8x8, stride 4, no bias) as bilinear interpolation: gain exactly 1."""
    deconv = nn.ConvTranspose2d(1, 1, 2 * STRIDE, STRIDE, STRIDE // 2, bias=False)
    taps = 1 - (torch.arange(2 * STRIDE, device="cpu") - (STRIDE - 0.5)).abs() / STRIDE
    with torch.no_grad():
        deconv.weight.copy_(torch.outer(taps, taps)[None, None])
    return deconv


def _conv(inputs: int, outputs: int, kernel: int, gain: float = math.sqrt(2)) -> nn.Conv2d:
    """Return a "same" convolution, weights normal with std gain / sqrt(fan in) (He et al. 2015), biases 0."""
    conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
    nn.init.normal_(conv.weight, std=gain / math.sqrt(inputs * kernel * kernel))
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]  # torch types it as optional
    return conv
