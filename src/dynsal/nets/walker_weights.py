"""The published weights of Walker et al.'s net (final.caffemodel), taken over from Caffe's format as they are."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from dynsal.codebook import WORDS
from dynsal.errors import DataError
from dynsal.nets.caffe import read_caffemodel
from dynsal.nets.imports import checked
from dynsal.nets.static_flow import CELLS


def load_walker(net: nn.Module, path: Path) -> None:
    """Fill a `static_flow.Walker` with the weights of a .caffemodel file; Caffe's arrays have torch's order.

    The published net has width 1. The last layer may have another name than ``fc8``: it is the one with 16000 outputs.

    Raises
    ------
    DataError
        If the file cannot be read, or any layer is missing, of another shape or not finite; all are listed. The net is
        then as it was.
    """
    arrays = read_caffemodel(path)
    last = [name for name, found in arrays.items() if CELLS * CELLS * WORDS in found[0].shape]
    if "fc8" not in arrays and len(last) == 1:
        arrays["fc8"] = arrays.pop(last[0])
    layers = {
        name: layer for name, layer in net.named_children() if isinstance(layer, (nn.Conv2d, nn.Linear))
    }
    shapes = {name: tuple(tuple(part.shape) for part in layer.parameters()) for name, layer in layers.items()}
    try:
        tensors = checked(arrays, shapes, [])
    except ValueError as problems:
        raise DataError(
            path, f"does not fit the static flow net: {problems}", "Check that it is final.caffemodel"
        ) from None
    net.load_state_dict(tensors)
