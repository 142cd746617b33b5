"""Weights in and out of files: initial weights for a net, and whole models that rebuild themselves."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from dynsal.config import NetConfig
from dynsal.errors import DataError
from dynsal.fileio import atomic, sha256
from dynsal.nets import REGISTRY, build
from dynsal.nets.imports import import_caffemodel

log = logging.getLogger(__name__)

_KEY = "dynsal"
"""Of the header: what a model is."""
_ORIGIN = "dynsal_origin"
"""Of the header: where imported weights come from."""


def load_initial(net: nn.Module, path: str | Path) -> None:
    """Fill a net with the weights of a .safetensors or .caffemodel file, and log which layers were filled.

    The file names its tensors as the net does, or holds a single stream (``conv1.weight`` .. ``deconv.weight``,
    with or without ``head.`` and ``tail.``): a two-stream net then takes it for both streams, as the paper does
    with SalNet's weights, and ``conv_fuse`` keeps its identity. VGG-CNN-M's file fills conv1 to conv3 only.

    Raises
    ------
    DataError
        If the file cannot be read, or any layer is missing, superfluous or of another shape; all are listed.
    """
    tensors, header = _read(Path(path))
    partial = json.loads(header.get(_ORIGIN, "{}")).get("weights") == "vggm"
    state = net.state_dict()
    short = Counter(_short(name) for name in tensors)
    single = {_short(name): name for name in tensors} if max(short.values(), default=0) == 1 else {}
    chosen: dict[str, Tensor] = {}
    problems, used = [], set()
    for name, value in state.items():
        source = name if name in tensors else single.get(_short(name))
        if source is None:
            if not (partial or (single and name.startswith("conv_fuse."))):
                problems.append(f"{name} is missing")
            continue
        used.add(source)
        if tensors[source].shape != value.shape:
            problems.append(f"{name} is {_shape(tensors[source])}, the net has {_shape(value)}")
        chosen[name] = tensors[source]
    problems += [f"{name} is not in the net" for name in sorted(set(tensors) - used)]
    if problems:
        raise DataError(
            path,
            "does not fit the net: " + "; ".join(problems),
            "Check net.width and the file that net.init names",
        )
    net.load_state_dict(chosen, strict=False)
    log.info("initial weights from %s: %s", path, ", ".join(_layers(chosen)))
    if rest := _layers(set(state) - set(chosen)):
        log.info("initial weights not in that file, as without it: %s", ", ".join(rest))


def save_imported(path: Path, source: Path, weights: str) -> None:
    """Write what we take from a .caffemodel as .safetensors, with its origin in the header.

    Parameters
    ----------
    path
        The file to write.
    source
        The .caffemodel.
    weights
        ``salnet`` or ``vggm``.

    Raises
    ------
    DataError
        If the source cannot be read or does not fit; nothing is then written.
    """
    _, tensors = import_caffemodel(source, weights)
    with atomic(path) as part:
        save_file(tensors, part, metadata=_origin_header(source, weights, tensors))


def describe_initial(path: Path | None) -> dict[str, Any]:
    """Return which initial weights a file stands for, as provenance files and tables tell it.

    Returns
    -------
    dict
        ``weights``: ``he`` (without a file), ``salnet``, ``vggm`` or ``file``; and, for a file, its name (``file``) and
        ``sha256``, of the published original where it was imported from one; and then the ``layers`` taken.
    """
    if path is None:
        return {"weights": "he"}
    _, header = _read(path)
    if _ORIGIN in header:
        return dict(json.loads(header[_ORIGIN]))
    return {"weights": "file", "file": path.name, "sha256": sha256(path)}


def save_model(path: Path, net: nn.Module, meta: dict[str, Any]) -> None:
    """Write a model as one .safetensors file, atomically, with ``meta`` as JSON in its header.

    Parameters
    ----------
    path
        The file, usually ``model.safetensors``.
    net
        The net; its weights are stored as float32 in the order of its layers.
    meta
        Plain JSON values; must hold ``arch`` and ``net`` (the net's configuration), and should hold ``flow`` (its
        configuration) and ``size`` (width, height), which users of the model need to prepare its inputs.
    """
    missing = {"arch", "net"} - set(meta)
    if missing:
        raise ValueError(f"meta lacks {sorted(missing)}")
    tensors = {name: value.detach().cpu().contiguous() for name, value in net.state_dict().items()}
    with atomic(Path(path)) as part:
        save_file(tensors, part, metadata={_KEY: json.dumps(meta, sort_keys=True)})


def read_model(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors and the metadata of any file that :func:`save_model` wrote.

    Raises
    ------
    DataError
        If the file is missing, damaged, or none of those.
    """
    tensors, header = _read(Path(path))
    try:
        return tensors, dict(json.loads(header[_KEY]))
    except (KeyError, ValueError) as error:
        raise DataError(path, f"is no model of this package ({error})", "Train it again") from None


def copy_with_header(source: Path, path: Path, key: str, text: str) -> None:
    """Copy a .safetensors file, with one more entry in its header.

    Raises
    ------
    DataError
        If the source is missing or damaged, or no space is left.
    """
    tensors, header = _read(Path(source))
    with atomic(Path(path)) as part:
        save_file(tensors, part, metadata={**header, key: text})


def load_model(path: Path, device: torch.device | str = "cpu") -> tuple[nn.Module, dict[str, Any]]:
    """Return the net of a model file, rebuilt from its own metadata, in evaluation mode, and that metadata.

    Raises
    ------
    DataError
        If the file is missing, damaged, or no model of this package.
    """
    tensors, header = _read(Path(path))
    try:
        meta: dict[str, Any] = json.loads(header[_KEY])
        config = NetConfig.model_validate_json(json.dumps({**meta["net"], "init": "he"}))
        if meta["arch"] not in REGISTRY:
            raise ValueError(f"unknown architecture {meta['arch']!r}")
        with torch.device("meta"), _NothingDrawn():
            net = build(meta["arch"], config)
        net.load_state_dict(tensors, assign=True)
    except (KeyError, ValueError, RuntimeError) as error:
        raise DataError(
            path, f"is no model of this package ({error})", "Train it again with this version"
        ) from None
    return net.to(device).eval(), meta


class _NothingDrawn(TorchFunctionMode):
    """Leaves new weights as they are: drawing them on torch's meta device imports its compiler, which takes a second."""

    def __torch_function__(
        self,
        function: Any,
        _types: Any,
        arguments: tuple[Any, ...] = (),
        keywords: dict[str, Any] | None = None,
    ) -> Any:
        keywords = keywords or {}
        if getattr(function, "__module__", None) == "torch.nn.init":
            return keywords.get("tensor", arguments[0] if arguments else None)
        return function(*arguments, **keywords)


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors and the header of a file; those of a .caffemodel as :func:`save_imported` would write them."""
    if path.suffix == ".caffemodel":
        weights, tensors = import_caffemodel(path)
        return tensors, _origin_header(path, weights, tensors)
    try:
        with safe_open(path, framework="pt") as handle:
            # Cloned, because tensors of an open file are views of its memory map.
            return {name: handle.get_tensor(name).clone() for name in handle.keys()}, handle.metadata() or {}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise DataError(
            path, f"cannot be read as .safetensors ({error})", "Check the path; make or download it again"
        ) from None


def _origin_header(source: Path, weights: str, tensors: Iterable[str]) -> dict[str, str]:
    origin = {"weights": weights, "file": source.name, "sha256": sha256(source), "layers": _layers(tensors)}
    return {_ORIGIN: json.dumps(origin, sort_keys=True)}


def _layers(names: Iterable[str]) -> list[str]:
    return sorted({name.rpartition(".")[0] for name in names})


def _short(name: str) -> str:
    return ".".join(name.split(".")[-2:])


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape))
