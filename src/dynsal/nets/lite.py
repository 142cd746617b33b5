"""A light two-stream net of our own: what a user would choose today who need not repeat the paper.

A pretrained backbone looks at the frame, a few small convolutions at the flow image; their features are added at stride 8,
before most of the head. Where people look in general (the centre) is a term of its own, so that the rest of the
net can speak about the picture. 1 / 200 of the multiplications of the paper's early fusion, a tenth of its parameters.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from dynsal.config import LiteConfig, NetConfig
from dynsal.nets.backbone import CHANNELS, Backbone
from dynsal.nets.coding import FRAME_MEAN_BGR, SCALE
from dynsal.nets.salnet import check_size

WIDTH = 64
"""Channels of the head."""
_MOTION = 24
SCALES = (1, 2, 3)
"""Scales of the backbone that the head looks at: strides 8, 16 and 32."""


class Lite(nn.Module):
    """Backbone and motion stream, fused at stride 8; a map at stride 8, enlarged; and a prior on top.

    Parameters
    ----------
    config
        Section ``lite`` says all about this net (`dynsal.config_sections.LiteConfig`); ``width`` and the fusion keys say
        nothing about it. On torch's meta device the backbone's published weights are not read.
    """

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        options = config.lite or LiteConfig()
        filled = options.backbone != "random" and torch.get_default_device().type != "meta"
        self.backbone = Backbone(pretrained=filled, trainable=options.backbone != "frozen")
        if options.backbone == "tuned":
            for parameter in self.backbone.parameters():
                parameter.rate_factor = options.backbone_rate  # type: ignore[attr-defined]
        self.zoom = options.zoom
        self.laterals = nn.ModuleList(_Lateral(CHANNELS[scale], options.dropout) for scale in SCALES)
        self.motion = Motion(WIDTH) if options.motion else None
        self.head = nn.Sequential(_Mixer(WIDTH), _Mixer(WIDTH), _conv(WIDTH, 1, 1, gain=0.1))
        self.prior = CentrePrior() if options.prior else None

    def forward(self, frame: Tensor, flow: Tensor) -> Tensor:
        """Map two N x 3 x H x W, as `dynsal.nets.coding` makes them, to the logits N x 1 x H x W.

        Raises
        ------
        ValueError
            If H or W is no multiple of 4, as with the other nets.
        """
        check_size(frame)
        mean = torch.tensor(FRAME_MEAN_BGR, device=frame.device)[:, None, None]
        features = self.backbone(zoomed(frame / SCALE + mean, self.zoom))
        return self.read(tuple(features[scale] for scale in SCALES), flow, (frame.shape[2], frame.shape[3]))

    def read(self, features: Sequence[Tensor], flow: Tensor, sides: tuple[int, int]) -> Tensor:
        """Return the logits for the backbone's features at strides 8, 16 and 32, and the flow image; what is learnt.

        Parameters
        ----------
        features
            Three tensors, N x C x h x w.
        flow
            N x 3 x H x W; ignored by a net without motion.
        sides
            H and W of the map.
        """
        fine, middle, coarse = (
            lateral(found) for lateral, found in zip(self.laterals, features, strict=True)
        )
        x = fine + enlarged(middle + enlarged(coarse, 2, _sides(middle)), 2, _sides(fine))
        if self.motion is not None:
            check_size(flow)
            x = x + self.motion(zoomed(flow, self.zoom))
        x = enlarged(self.head(x), 8, (self.zoom * sides[0], self.zoom * sides[1]))
        if self.zoom > 1:
            x = functional.avg_pool2d(x, self.zoom)
        return x if self.prior is None else x + self.prior(sides)


class Motion(nn.Module):
    """A flow image to features at stride 8, whose cells lie where the backbone's do."""

    def __init__(self, out: int) -> None:
        super().__init__()
        self.pool = nn.Sequential(nn.ZeroPad2d((0, 3, 0, 3)), nn.AvgPool2d(7, 4))
        self.down = nn.Sequential(nn.ZeroPad2d((0, 2, 0, 2)), _conv(3, _MOTION, 3, stride=2, padding=0))
        self.near = _conv(_MOTION, _MOTION, 3)
        self.wide = _conv(_MOTION, _MOTION, 3, dilation=3)
        self.out = _conv(_MOTION, out, 1, gain=0.5)

    def forward(self, flow: Tensor) -> Tensor:
        """Map N x 3 x H x W to N x C x ceil(H/8) x ceil(W/8)."""
        x = functional.relu(self.down(self.pool(flow)))
        x = x + functional.relu(self.near(x))
        x = x + functional.relu(self.wide(x))
        return torch.as_tensor(self.out(x))


class CentrePrior(nn.Module):
    """The logarithm of a Gaussian in the unit frame, with learnt middle and width; the same at every size of the map."""

    START = 0.25
    """Standard deviation in sides of the frame at the start."""

    def __init__(self) -> None:
        super().__init__()
        self.middle = nn.Parameter(torch.full((2,), 0.5))
        self.log_width = nn.Parameter(torch.full((2,), self.START).log())

    def forward(self, sides: tuple[int, int]) -> Tensor:
        """Return 1 x 1 x H x W for sides H and W."""
        parts = []
        for axis, count in enumerate(sides):
            place = (torch.arange(count, device=self.middle.device) + 0.5) / count
            parts.append(-0.5 * ((place - self.middle[axis]) * torch.exp(-self.log_width[axis])).square())
        return (parts[0][:, None] + parts[1][None, :])[None, None]


class _Lateral(nn.Module):
    """Features of the backbone to the head's channels; whole channels are dropped in training."""

    def __init__(self, into: int, dropout: float) -> None:
        super().__init__()
        self.drop = nn.Dropout2d(dropout)
        self.conv = _conv(into, WIDTH, 1)
        self.norm = nn.GroupNorm(1, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """Map N x C x h x w to N x 64 x h x w."""
        return torch.as_tensor(self.norm(self.conv(self.drop(x))))


class _Mixer(nn.Module):
    """A residual step: ReLU, 5x5 per channel, 1x1 across channels."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.across = _conv(count, count, 5, groups=count)
        self.mix = _conv(count, count, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map N x C x h x w to the same shape."""
        return x + torch.as_tensor(self.mix(functional.relu(self.across(functional.relu(x)))))


def zoomed(image: Tensor, factor: int) -> Tensor:
    """Return N x C x H x W, enlarged by a whole factor."""
    if factor == 1:
        return image
    return functional.interpolate(image, scale_factor=factor, mode="bilinear", align_corners=False)


def enlarged(x: Tensor, factor: int, sides: tuple[int, int]) -> Tensor:
    """Return N x C x h x w, linearly enlarged by ``factor``, cut to ``sides`` (H and W).

    The backbone's padding puts the middle of cell i at stride S over pixel S i + S - 1. So cell i of a coarser scale lies
    exactly on cell ``factor`` i + ``factor`` - 1 of a finer one; the usual enlargement (half-pixel centres) would be off by
    almost half a coarse cell. Before the first cell its value is held.
    """
    height, width = x.shape[-2:]
    x = functional.pad(x, (1, 0, 1, 0), mode="replicate")
    x = functional.interpolate(
        x, (factor * height + 1, factor * width + 1), mode="bilinear", align_corners=True
    )
    return x[..., 1 : 1 + sides[0], 1 : 1 + sides[1]]


def _sides(x: Tensor) -> tuple[int, int]:
    return x.shape[2], x.shape[3]


def _conv(
    into: int,
    out: int,
    kernel: int,
    *,
    stride: int = 1,
    padding: int | None = None,
    dilation: int = 1,
    groups: int = 1,
    gain: float = 1.0,
) -> nn.Conv2d:
    """Return a convolution of the same size (unless ``padding`` says otherwise), He's weights times ``gain``, biases 0."""
    pad = dilation * (kernel // 2) if padding is None else padding
    conv = nn.Conv2d(into, out, kernel, stride, pad, dilation, groups)
    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    with torch.no_grad():
        conv.weight.mul_(gain)
        nn.init.zeros_(conv.bias)  # type: ignore[arg-type]  # torch types it as optional
    return conv
