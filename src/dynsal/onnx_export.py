"""A trained net as one ONNX file that takes raw frames and flow and returns maps, checked against torch.

Needs the packages of the extra ``onnx``; they are imported only here, and only when asked for.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim

from dynsal.errors import DataError
from dynsal.fileio import atomic
from dynsal.inference import Predictor
from dynsal.nets.coding import apply, decode
from dynsal.nets.salnet import STRIDE

TOLERANCE = 1e-4
"""Largest difference between ONNX Runtime and torch, relative to the largest value of torch's map."""
CHECKED = ((1, 64, 96), (2, 120, 80))
"""Frames, height and width of the inputs compared; none is the size that the graph was traced with."""
_TRACED = (2, 48, 64)
_PACKAGES = ("onnx", "onnxruntime", "onnxscript")


class RawNet(nn.Module):
    """A net between raw inputs and decoded maps, as :class:`dynsal.inference.Predictor` applies it.

    Inputs, as far as the net looks at them, in this order: ``frame`` N x 3 x H x W uint8, BGR; ``flow`` N x 2 x H x W
    float32, pixels at this size. Returns N x 1 x H x W float32, non-negative.
    """

    def __init__(self, predictor: Predictor) -> None:
        super().__init__()
        self.net = predictor.net
        self.inputs = predictor.inputs
        self.bound = predictor.bound
        self.coding = predictor.coding

    def forward(self, *raw: Tensor) -> Tensor:
        """Scale the inputs, apply the net, decode its output."""
        batch = dict(zip(self.inputs, raw, strict=True))
        return decode(apply(self.net, batch, self.bound, channels_last=False), self.coding)


def export_onnx(path: Path, net: nn.Module, meta: dict[str, Any]) -> float:
    """Write a net as ONNX, atomically, and return its largest relative difference from torch.

    Batch and sides are free, the sides multiples of 4. The metadata of the model file is kept under ``dynsal`` as JSON.

    Parameters
    ----------
    path
        The .onnx file to write.
    net, meta
        As ``dynsal.nets.weights.load_model`` returns them.

    Raises
    ------
    DataError
        If packages are missing, or ONNX Runtime and torch differ by more than :data:`TOLERANCE`; no file is left then.
    """
    missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise DataError(
            path, f"ONNX needs {', '.join(missing)}", "Install what is missing: pip install 'dynsal[onnx]'"
        )
    raw = RawNet(Predictor(net, meta))
    batch, height, width = Dim("batch"), Dim("rows"), Dim("columns")
    free = {0: batch, 2: STRIDE * height, 3: STRIDE * width}
    with _quiet():
        program = torch.onnx.export(
            raw,
            _inputs(raw, *_TRACED),
            input_names=list(raw.inputs),
            output_names=["saliency"],
            dynamic_shapes=(tuple(free for _ in raw.inputs),),
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    program.model.metadata_props["dynsal"] = json.dumps(meta, sort_keys=True)
    with atomic(path) as part:
        program.save(part)
        difference = _difference(part, raw)
        if not difference <= TOLERANCE:
            raise DataError(
                path,
                f"not written: ONNX Runtime and torch differ by {difference:.2g} of the map's maximum",
                "If its weights are finite, please report it with the versions of torch, onnx, onnxscript and onnxruntime",
            )
    return difference


def _difference(path: Path, raw: RawNet) -> float:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    worst = []
    for size in CHECKED:
        inputs = _inputs(raw, *size)
        with torch.inference_mode():
            expected = raw(*inputs)
        feed = {name: value.numpy() for name, value in zip(raw.inputs, inputs, strict=True)}
        found = torch.from_numpy(session.run(None, feed)[0])
        worst.append(float((found - expected).abs().max() / expected.abs().max().clamp_min(1e-30)))
    return max(worst)


def _inputs(raw: RawNet, count: int, height: int, width: int) -> tuple[Tensor, ...]:
    """Return noise of the kind that the net takes; some of the flow is beyond its bound."""
    noise = torch.Generator().manual_seed(0)
    made = {
        "frame": torch.randint(0, 256, (count, 3, height, width), dtype=torch.uint8, generator=noise),
        "flow": raw.bound * torch.randn(count, 2, height, width, generator=noise),
    }
    return tuple(made[name] for name in raw.inputs)


@contextmanager
def _quiet() -> Iterator[None]:
    """Hold back what the exporter says about its own insides and about packages that it does not need."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
