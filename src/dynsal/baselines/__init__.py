"""Models of saliency that came before the nets, by name, all behind the contract of `dynsal.baselines.base`.

A new baseline is one module here, and one class of options with one entry in the registry of `dynsal.config_baselines`.
Importing this package loads none of them.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dynsal.config_baselines import REGISTRY
from dynsal.errors import DataError

__all__ = ["REGISTRY", "by_name", "create", "parse", "stored_options"]

if TYPE_CHECKING:
    from dynsal.baselines.base import Baseline
    from dynsal.config_baselines import Options


def parse(text: str) -> Options:
    """Return the options of a baseline from JSON.

    Raises
    ------
    pydantic.ValidationError
        If the model is unknown, or an option is.
    """
    from pydantic import TypeAdapter

    from dynsal.config_baselines import BaselineOptions

    known: TypeAdapter[Options] = TypeAdapter(BaselineOptions)
    return known.validate_json(text)


def by_name(files: Iterable[Path]) -> dict[str, Path]:
    """Return the files of :func:`create`: a trained model (.safetensors) as ``model``, the others under their own names."""
    return {"model" if path.suffix == ".safetensors" else path.name: path for path in files}


def stored_options(path: Path) -> dict[str, Any] | None:
    """Return the options that a baseline was trained with, from its .safetensors file; None for other files, such as nets."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as handle:
            facts = json.loads((handle.metadata() or {}).get("dynsal", "{}"))
    except (OSError, SafetensorError, ValueError):
        return None
    options = facts.get("options") if isinstance(facts, dict) else None
    known = isinstance(options, dict) and options.get("model") in REGISTRY
    return options if known else None


def create(options: Options, files: Mapping[str, Path]) -> Baseline:
    """Return a new baseline, with the state of one that has seen nothing.

    Parameters
    ----------
    options
        One of the classes of `dynsal.config_baselines`; its ``model`` says which baseline.
    files
        Name -> path of the files that the baseline needs; a trained one its ``model``.

    Raises
    ------
    DataError
        If a file is missing or not what it should be.
    """
    entry = REGISTRY[options.model]
    for name in (*options.files(), *(["model"] if entry.trained else [])):
        if name not in files:
            raise DataError(
                options.model, f"needs the file {name}", "Give it, or let the workflow fetch or train it"
            )
    made: Baseline = getattr(importlib.import_module(f"{__name__}.{entry.module}"), entry.name)(
        options, files
    )
    return made
