"""The published weights of Walker et al.'s net (final.caffemodel), taken over from Caffe's format as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from dynsal.errors import DataError
from dynsal.nets.caffe import read_caffemodel


def load_walker(net: nn.Module, path: Path) -> None:
    """Fill a net of variant ``walker`` and width 1; Caffe's arrays have torch's order.

    Raises
    ------
    DataError
        If the file cannot be read, or any layer is missing or of another shape; all are listed. The last layer may have
        another name than ``fc8``: it is the one with 16000 outputs.
    """
    arrays = read_caffemodel(path)
    last = [name for name, found in arrays.items() if found and 16000 in found[0].shape]
    names = {"fc8": last[0]} if len(last) == 1 else {}
    tensors: dict[str, Tensor] = {}
    problems = []
    for key, wanted in net.state_dict().items():
        layer, _, part = key.rpartition(".")
        found = arrays.get(names.get(layer, layer), [])
        index = ("weight", "bias").index(part)
        if len(found) <= index:
            problems.append(f"{key} is missing")
        elif found[index].size != wanted.numel() or not np.isfinite(found[index]).all():
            problems.append(
                f"{key} has shape {found[index].shape}, not {tuple(wanted.shape)}, or is not finite"
            )
        else:
            tensors[key] = torch.from_numpy(found[index].reshape(wanted.shape))
    if problems:
        raise DataError(
            path,
            "does not fit the static flow net: " + "; ".join(problems),
            "Check that it is final.caffemodel",
        )
    net.load_state_dict(tensors)
