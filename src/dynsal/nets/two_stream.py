"""The two-stream nets of Bak, Erdem, Erdem 2016: late fusion by maximum, early fusion by a 1x1 convolution.

Not to be mixed with their journal version (2018), which fuses after conv5.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from dynsal.config import NetConfig
from dynsal.nets.salnet import Head, Stream, Tail, bilinear_deconv, channels, check_size


class LateFusion(nn.Module):
    """Two complete streams (conv1-conv9), their element-wise maximum, one deconvolution."""

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        self.appearance = Stream(config.width)
        self.motion = Stream(config.width)
        self.deconv = bilinear_deconv()

    def forward(self, frame: Tensor, flow: Tensor) -> Tensor:
        """Map two N x 3 x H x W to N x 1 x H x W."""
        check_size(frame)
        check_size(flow)
        fused = torch.maximum(self.appearance(frame), self.motion(flow))
        return torch.as_tensor(self.deconv(fused))


class EarlyFusion(nn.Module):
    """conv1-conv4 twice, concatenation, 1x1 convolution to one stream's channels, then conv5-conv9."""

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        self.appearance = Head(config.width)
        self.motion = Head(config.width)
        self.conv_fuse = _identity_fusion(channels(512, config.width), config.fusion_init_scale)
        self.relu = config.fusion_relu
        self.tail = Tail(config.width)
        self.deconv = bilinear_deconv()

    def forward(self, frame: Tensor, flow: Tensor) -> Tensor:
        """Map two N x 3 x H x W to N x 1 x H x W."""
        check_size(frame)
        check_size(flow)
        x = self.conv_fuse(torch.cat([self.appearance(frame), self.motion(flow)], dim=1))
        if self.relu:
            x = functional.relu(x, inplace=True)
        return torch.as_tensor(self.deconv(self.tail(x)))


def _identity_fusion(count: int, scale: float) -> nn.Conv2d:
    """Return the 2*count -> count convolution that starts as scale * [I | I], bias 0."""
    fuse = nn.Conv2d(2 * count, count, 1)
    with torch.no_grad():
        for half in fuse.weight.chunk(2, dim=1):
            nn.init.dirac_(half)
        fuse.weight.mul_(scale)
        nn.init.zeros_(fuse.bias)  # type: ignore[arg-type]  # torch types it as optional
    return fuse
