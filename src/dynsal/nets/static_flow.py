"""Nets that see motion in a single image: Walker, Gupta, Hebert's (ICCV 2015), and two for little data.

All map N x 3 x S x S (BGR minus :data:`MEAN_BGR`; S is the net's ``side``) to N x 40 x 20 x 20: how likely each of 40
motions is in each of 20 x 20 cells, before the softmax.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from dynsal.codebook import WORDS
from dynsal.config_transfer import StaticFlowConfig
from dynsal.nets.backbone import CHANNELS, Backbone
from dynsal.nets.salnet import LocalResponse, channels

INPUT, CELLS = 200, 20
MEAN_BGR = (89.0, 97.0, 101.0)
"""Mean of the authors' mean image."""


class Walker(nn.Module):
    """AlexNet with 16000 outputs; ``width`` multiplies the channels and units of the hidden layers.

    puffin444/optical_flow_prediction@00ba80e: its output counts columns outermost, (x * 20 + y) * 40 + k; here it comes
    as words, rows, columns. Pools round up (Caffe): sides 48, 24, 12, 6.
    """

    side = INPUT

    def __init__(self, width: float) -> None:
        super().__init__()
        # Two groups need even numbers of channels.
        c1, c2, c3, c4, c5 = (2 * channels(base // 2, width) for base in (96, 256, 384, 384, 256))
        units = channels(4096, width)
        self.conv1 = nn.Conv2d(3, c1, 11, stride=4)
        self.conv2 = nn.Conv2d(c1, c2, 5, padding=2, groups=2)
        self.conv3 = nn.Conv2d(c2, c3, 3, padding=1)
        self.conv4 = nn.Conv2d(c3, c4, 3, padding=1, groups=2)
        self.conv5 = nn.Conv2d(c4, c5, 3, padding=1, groups=2)
        self.fc6 = nn.Linear(c5 * 6 * 6, units)
        self.fc7 = nn.Linear(units, units)
        self.fc8 = nn.Linear(units, CELLS * CELLS * WORDS)
        self.norm = LocalResponse()
        self.pool = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.drop = nn.Dropout(0.5)
        for name, layer in self.named_children():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                _xavier(layer.weight)
                nn.init.constant_(layer.bias, 0.0 if name in ("conv1", "conv3", "fc8") else 0.1)  # type: ignore[arg-type]

    def forward(self, image: Tensor) -> Tensor:
        """Map N x 3 x 200 x 200 to N x 40 x 20 x 20."""
        x = self.pool(self.norm(functional.relu(self.conv1(image))))
        x = self.pool(self.norm(functional.relu(self.conv2(x))))
        x = functional.relu(self.conv4(functional.relu(self.conv3(x))))
        x = self.pool(functional.relu(self.conv5(x)))
        x = self.drop(functional.relu(self.fc6(x.flatten(1))))
        x = self.drop(functional.relu(self.fc7(x)))
        return torch.as_tensor(self.fc8(x).view(-1, CELLS, CELLS, WORDS).permute(0, 3, 2, 1))


class Small(nn.Module):
    """A convolutional net of our own with the same input and output: what it learns in one place it knows in all.

    AlexNet's fully connected layers have 16000 outputs to learn one by one, which takes more videos than a few dozen. Here
    all cells share their weights, but for one bias per cell and word, which holds where things move on the whole.
    """

    side = INPUT

    def __init__(self, width: float) -> None:
        super().__init__()
        c1, c2, c3 = (channels(base, width) for base in (32, 64, 96))
        self.stem = nn.Sequential(
            nn.Conv2d(3, c1, 5, stride=2, padding=2), nn.ReLU(),
            nn.Conv2d(c1, c2, 3, stride=2, padding=1), _norm(c2), nn.ReLU(),
            nn.Conv2d(c2, c2, 3, padding=1), _norm(c2), nn.ReLU(),
        )  # fmt: skip
        # Neighbours ever further away, up to the whole picture.
        self.context = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(c2 if k == 0 else c3, c3, 3, padding=2**k, dilation=2**k), _norm(c3), nn.ReLU()
            )
            for k in range(4)
        )
        self.drop = nn.Dropout2d(0.3)
        self.words = nn.Conv2d(c3, WORDS, 1)
        self.place = nn.Parameter(torch.zeros(1, WORDS, CELLS, CELLS))

    def forward(self, image: Tensor) -> Tensor:
        """Map N x 3 x 200 x 200 to N x 40 x 20 x 20."""
        x = functional.adaptive_avg_pool2d(self.stem(image / 64), CELLS)
        for layer in self.context:
            y = layer(x)
            x = x + y if x.shape == y.shape else y
        return torch.as_tensor(self.words(self.drop(x)) + self.place)


class Pretrained(nn.Module):
    """A head of our own on the features of a frozen net that knows ImageNet: what moves is a matter of what it is.

    Features of strides 8, 16 and 32 are brought to the 20 x 20 cells, which are stride 16's own, and every channel to mean
    0 and deviation 1 over the training images. The head looks at one cell at a time; the features know its surroundings.

    Parameters
    ----------
    width
        Multiplies the head's hidden channels.
    pretrained
        False leaves the backbone's weights to be filled from a file.
    """

    side = 16 * CELLS

    def __init__(self, width: float, *, pretrained: bool = True) -> None:
        super().__init__()
        self.backbone = Backbone(pretrained=pretrained)
        features, hidden = sum(CHANNELS[1:]), channels(128, width)
        self.head = nn.Sequential(
            nn.BatchNorm2d(features, affine=False), nn.Dropout(0.2),
            nn.Conv2d(features, hidden, 1), nn.ReLU(), nn.Dropout(0.5),
            nn.Conv2d(hidden, WORDS, 1),
        )  # fmt: skip

    def forward(self, seen: Tensor) -> Tensor:
        """Map N x 3 x 320 x 320, or the :meth:`features` of it, to N x 40 x 20 x 20.

        Both come in here, so that a net wrapped to share a training takes either. (Each of several processes then brings
        its own part of a batch to mean 0 and deviation 1.)
        """
        features = self.features(seen) if seen.shape[1] == 3 else seen
        return torch.as_tensor(self.head(features))

    def features(self, image: Tensor) -> Tensor:
        """Map N x 3 x 320 x 320 to what the head gets, N x 472 x 20 x 20."""
        _, fine, middle, deep = self.backbone(image + _mean(image))
        deep = functional.interpolate(deep, size=(CELLS, CELLS), mode="bilinear")
        return torch.cat([functional.adaptive_avg_pool2d(fine, CELLS), middle, deep], 1)


StaticFlowNet = Walker | Small | Pretrained


def build_static_flow(config: StaticFlowConfig, seed: int = 0, *, pretrained: bool = True) -> StaticFlowNet:
    """Return a new net; the weights are a function of the arguments, and the global random state stays as it was.

    ``pretrained=False`` saves reading ImageNet's weights where a file is about to fill the net.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if config.variant == "walker":
            return Walker(config.width)
        if config.variant == "small":
            return Small(config.width)
        return Pretrained(config.width, pretrained=pretrained)


def normalise(images: Tensor) -> Tensor:
    """Return N x 3 x H x W BGR minus the mean, float32."""
    return images.float() - _mean(images)


def _mean(images: Tensor) -> Tensor:
    return torch.tensor(MEAN_BGR, device=images.device)[:, None, None]


def _norm(count: int) -> nn.Module:
    return nn.GroupNorm(min(8, count) if count % min(8, count) == 0 else 1, count)


def _xavier(weight: Tensor) -> None:
    """Caffe's Xavier: uniform with variance 1 / fan-in."""
    bound = (3 / weight[0].numel()) ** 0.5
    nn.init.uniform_(weight, -bound, bound)
