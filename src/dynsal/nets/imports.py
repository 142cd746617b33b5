"""Published Caffe weights as tensors of our single stream: SalNet whole, or the first three layers of VGG-CNN-M.

Caffe's convolution is a cross-correlation and its arrays are outputs x inputs x rows x columns, as torch's; its
deconvolution agrees with ``nn.ConvTranspose2d``. Both nets were trained on B, G, R, as our frames are. So arrays are
taken as they are, and only VGG-CNN-M's biases change, for the scaling of the inputs (:func:`vggm`). In a net that looks
at flow the three input channels of conv1 act on u, v and magnitude in place of B, G and R.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dynsal.errors import DataError
from dynsal.nets.caffe import read_caffemodel
from dynsal.nets.coding import FRAME_MEAN_BGR, SCALE

Arrays = Mapping[str, list[NDArray[np.float32]]]

SALNET_SHAPES: dict[str, tuple[tuple[int, ...], ...]] = {
    "conv1": ((96, 3, 7, 7), (96,)),
    "conv2": ((256, 96, 5, 5), (256,)),
    "conv3": ((512, 256, 3, 3), (512,)),
    "conv4": ((512, 512, 5, 5), (512,)),
    "conv5": ((512, 512, 5, 5), (512,)),
    "conv6": ((256, 512, 7, 7), (256,)),
    "conv7": ((128, 256, 11, 11), (128,)),
    "conv8": ((32, 128, 11, 11), (32,)),
    "conv9": ((1, 32, 13, 13), (1,)),
    "deconv1": ((1, 1, 8, 8),),
}
"""Layer of SalNet's file -> shapes of weight and bias (Pan et al. 2016, deep_net_deploy.prototxt)."""

VGGM_LAYERS = ("conv1", "conv2", "conv3")
"""What SalNet takes from VGG-CNN-M; their shapes are SalNet's, their strides and normalisation are not."""
VGGM_MEAN_BGR = (103.939, 116.779, 123.68)
"""Mean of ImageNet as VGG's group gives it per channel; VGG-CNN-M itself used a mean image."""


def salnet(arrays: Arrays) -> dict[str, Tensor]:
    """Return the tensors of a whole stream, ``conv1.weight`` .. ``conv9.bias``, ``deconv.weight``.

    Raises
    ------
    ValueError
        Listing every layer that is missing, superfluous, of another shape, or not finite.
    """
    surplus = [f"{name} is not in SalNet" for name in arrays if name not in SALNET_SHAPES]
    return checked(arrays, SALNET_SHAPES, surplus)


def vggm(arrays: Arrays) -> dict[str, Tensor]:
    """Return conv1 to conv3 of VGG-CNN-M; later layers of the file are left alone.

    VGG-CNN-M was trained on x - m, with x in 0..255 and m its own mean; our frames are s (x - n), s = 2/255 and n
    SalNet's mean. With weights W as they are and the bias s (b + sum of W (n - m)), conv1 returns exactly s times what
    it returned there (away from the borders, where the padding stands for another colour), and with biases s b conv2
    and conv3 keep that factor, for ReLU and pools commute with it. Multiplying conv1's weights by 1/s instead would
    bring back activations in the hundreds, which the He layers behind carry on to an output whose targets lie in
    -0.24..1.76. Leaving all as it is, as Caffe's copying by name does, would make the biases 1/s times too heavy.

    Raises
    ------
    ValueError
        Listing every layer that is missing, of another shape, or not finite.
    """
    tensors = checked(arrays, {name: SALNET_SHAPES[name] for name in VGGM_LAYERS}, [])
    shift = torch.tensor(FRAME_MEAN_BGR) - torch.tensor(VGGM_MEAN_BGR)
    moved = {"conv1.bias": (tensors["conv1.weight"].sum((2, 3)) * shift).sum(1)}
    biases = {name: tensors[name] for name in (f"{layer}.bias" for layer in VGGM_LAYERS)}
    return tensors | {name: SCALE * (bias + moved.get(name, 0)) for name, bias in biases.items()}


RECIPES = {"salnet": salnet, "vggm": vggm}
"""Value of ``net.init`` -> how to take the file's arrays over."""


def recipe_of(arrays: Arrays) -> str:
    """Return which of the recipes a file is for: VGG-CNN-M has fully connected layers, SalNet none."""
    return "vggm" if any(name.startswith("fc") for name in arrays) else "salnet"


def import_caffemodel(path: Path, recipe: str | None = None) -> tuple[str, dict[str, Tensor]]:
    """Return the recipe and the tensors of a .caffemodel file.

    Parameters
    ----------
    path
        The file.
    recipe
        A key of :data:`RECIPES`; None looks which one the file is for.

    Raises
    ------
    DataError
        If the file cannot be read or does not fit; all misfits are listed.
    """
    arrays = read_caffemodel(path)
    recipe = recipe or recipe_of(arrays)
    try:
        return recipe, RECIPES[recipe](arrays)
    except ValueError as problems:
        raise DataError(
            path, f"does not fit {recipe}: {problems}", "Check that it is the file that docs/weights.md names"
        ) from None


def checked(
    arrays: Arrays, shapes: Mapping[str, tuple[tuple[int, ...], ...]], problems: list[str]
) -> dict[str, Tensor]:
    """Return the arrays of the named layers as float32 tensors of the wanted shapes.

    Parameters
    ----------
    arrays
        Those of a file; layers that ``shapes`` does not name are left alone.
    shapes
        Layer -> shapes of weight and bias. A file may put ones before them.
    problems
        What is known to be wrong already; more is added.

    Returns
    -------
    dict
        ``<layer>.weight`` and ``<layer>.bias``.

    Raises
    ------
    ValueError
        Listing all problems.
    """
    tensors = {}
    for layer, wanted in shapes.items():
        found = arrays.get(layer)
        if found is None:
            problems.append(f"{layer} is missing")
            continue
        if len(found) != len(wanted):
            problems.append(f"{layer} has {len(found)} arrays instead of {len(wanted)}")
            continue
        for kind, array, shape in zip(("weight", "bias"), found, wanted, strict=False):
            name = f"{'deconv' if layer == 'deconv1' else layer}.{kind}"
            if _without_ones(array.shape) != _without_ones(shape):
                problems.append(f"{name} is {_text(array.shape)}, not {_text(shape)}")
            elif not np.isfinite(array).all():
                problems.append(f"{name} has values that are not finite")
            else:
                tensors[name] = torch.from_numpy(array.reshape(shape))
    if problems:
        raise ValueError("; ".join(problems))
    return tensors


def _without_ones(shape: Iterable[int]) -> tuple[int, ...]:
    """Drop leading ones: the older file formats give every array four sides."""
    sides = list(shape)
    while len(sides) > 1 and sides[0] == 1:
        sides.pop(0)
    return tuple(sides)


def _text(shape: Iterable[int]) -> str:
    return "x".join(map(str, shape))
