"""The shallow net of Pan et al., CVPR 2016 ("Shallow Conv"): three convolutions and two dense layers, from scratch.

Layers and post-processing as in imatge-upc/saliency-2016-cvpr, shallow/train.py and shallow/prediction.py. What differs:

- The authors crop the middle square of an image (Lanczos). Here the whole frame is squeezed to 96 x 96, because a map of
  the whole frame is needed: what a crop cuts off would have none. The filter is the antialiased triangle.
- Coding, loss, optimiser and augmentation are the pipeline's. The authors code maps as bytes / 127.5 - 1 at 48 x 48, and
  train with Nesterov's momentum (.9 to .999) and a rate (.05 to .0001) that are linear over 1200 epochs, half of each
  batch mirrored. So the error is taken at the frame's size here, after the enlargement.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor, nn
from torch.nn import functional

from dynsal.config import NetConfig
from dynsal.nets.coding import BYTE_MAX, FRAME_MEAN_BGR, SCALE
from dynsal.nets.salnet import channels, check_size

INPUT = 96
"""Rows and columns to which every frame is squeezed."""
OUTPUT = 48
"""Rows and columns of the map that the last layer gives."""
SIGMA = 3
"""Standard deviation, in cells of that map, of the Gaussian over predictions."""
PIECES = 2
"""Units of which maxout takes the largest."""


class Shallow(nn.Module):
    """Appearance only, from the whole frame at once.

    96 x 96 RGB in [0, 1]; conv 32@5, 64@3, 64@3 ("valid"), each with ReLU and a 2 x 2 pool; dense 4608 with ReLU;
    maxout over pairs; dense 2304, linear, which is the map of 48 x 48.

    Parameters
    ----------
    config
        ``width`` multiplies the hidden channels and units; the other keys say nothing about this net.
    """

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        c1, c2, hidden = (channels(base, config.width) for base in (32, 64, OUTPUT**2))
        self.conv1 = nn.Conv2d(3, c1, 5)
        self.conv2 = nn.Conv2d(c1, c2, 3)
        self.conv3 = nn.Conv2d(c2, c2, 3)
        side = INPUT
        for conv in (self.conv1, self.conv2, self.conv3):
            side = (side - conv.kernel_size[0] + 1) // 2
        self.dense1 = nn.Linear(c2 * side**2, PIECES * hidden)
        self.dense2 = nn.Linear(hidden, OUTPUT**2)
        for layer in self.children():
            assert isinstance(layer, nn.Conv2d | nn.Linear)
            nn.init.xavier_uniform_(layer.weight)  # Glorot, Lasagne's default
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # torch types it as optional

    def forward(self, frame: Tensor, flow: Tensor) -> Tensor:
        """Map N x 3 x H x W (flow may be anything) to N x 1 x H x W; smoothed in evaluation mode only.

        The authors train on the map as it is, and smooth what they predict.

        Raises
        ------
        ValueError
            If H or W is no multiple of 4, as with the other nets.
        """
        check_size(frame)
        x = functional.interpolate(unit_rgb(frame), (INPUT, INPUT), mode="bilinear", antialias=True)
        for conv in (self.conv1, self.conv2, self.conv3):
            x = functional.max_pool2d(functional.relu(conv(x), inplace=True), 2)
        x = functional.relu(self.dense1(x.flatten(1)), inplace=True)
        pairs = x.view(-1, self.dense2.in_features, PIECES)
        x = self.dense2(pairs.amax(2)).view(-1, 1, OUTPUT, OUTPUT)
        if not self.training:
            x = smoothed(x)
        return functional.interpolate(x, tuple(frame.shape[-2:]), mode="bilinear")


def unit_rgb(frame: Tensor) -> Tensor:
    """Return RGB in [0, 1] from what `dynsal.nets.coding.normalise_frame` made, N x 3 x H x W."""
    mean = torch.tensor(FRAME_MEAN_BGR, device=frame.device)[:, None, None]
    return ((frame / SCALE + mean) / BYTE_MAX).flip(1)


def smoothed(maps: Tensor) -> Tensor:
    """Return N x 1 x 48 x 48 maps under `scipy.ndimage.gaussian_filter`, sigma 3, as the authors call it (mirrored border)."""
    blur = ndimage.gaussian_filter1d(np.eye(OUTPUT), SIGMA, axis=0)
    matrix = torch.tensor(blur, dtype=maps.dtype, device=maps.device)
    return matrix @ maps @ matrix.T
