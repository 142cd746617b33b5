"""``dynsal export``: a trained net for other programs."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import torch

from dynsal.errors import DataError
from dynsal.nets.weights import load_model, save_model
from dynsal.onnx_export import TOLERANCE, export_onnx

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("model", type=Path, help="a trained net, such as model.safetensors of a training")
    parser.add_argument(
        "--out",
        type=Path,
        help="FILE.onnx or FILE.safetensors; by default MODEL with the ending .onnx",
    )


def run(arguments: argparse.Namespace) -> None:
    """Write the net and compare what was written with the original."""
    model = arguments.model
    out = arguments.out or model.with_suffix(".onnx")
    if out.suffix not in (".onnx", ".safetensors"):
        raise DataError(out, "no such format", "Name a file that ends in .onnx or .safetensors")
    if out.resolve() == model.resolve():
        raise DataError(out, "is the model itself", "Name another file with --out")
    net, meta = load_model(model)
    if out.suffix == ".onnx":
        difference = export_onnx(out, net, meta)
        log.info(
            "%s: ONNX Runtime and torch differ by at most %.1e of a map's maximum (%.0e is allowed)",
            out,
            difference,
            TOLERANCE,
        )
        return
    save_model(out, net, meta)
    again, said = load_model(out)
    weights = again.state_dict()
    if said != meta or any(not torch.equal(value, weights[name]) for name, value in net.state_dict().items()):
        out.unlink()
        raise DataError(out, "did not read back as it was written", "Check the disk, then run it again")
    log.info("%s: %s, read back equal", out, meta["arch"])
