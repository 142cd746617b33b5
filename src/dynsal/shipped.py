"""Trained nets that come with the package, each one file with a card inside: what it learnt from, how it scored, its terms.

Reads nothing but the files' headers, without torch, so that the command line can list them at once.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from dynsal.errors import DataError

FOLDER = Path(__file__).parent / "weights"
DEFAULT = "hevc33_lite"
"""What `dynsal predict` uses unless told otherwise."""
CARD = "dynsal_card"
"""Of a file's header: JSON with ``dataset``, ``terms``, ``citation``, ``scores``, ``provenance``, ``sha256`` of the training's file."""


def names() -> list[str]:
    """Return the names of the nets that come with the package, the default first."""
    found = sorted(file.stem for file in FOLDER.glob("*.safetensors"))
    return sorted(found, key=lambda name: name != DEFAULT)


def path(name: str) -> Path:
    """Return the file of a net that comes with the package.

    Raises
    ------
    DataError
        If there is none of that name.
    """
    if name not in names():
        raise DataError(name, "is no net that comes with dynsal", f"There are {', '.join(names())}")
    return FOLDER / f"{name}.safetensors"


def card(file: Path) -> dict[str, Any]:
    """Return what a file says about itself beside its weights; empty for one that was never shipped.

    Raises
    ------
    DataError
        If the file is missing or damaged.
    """
    return dict(json.loads(header(file).get(CARD, "{}")))


def header(file: Path) -> dict[str, str]:
    """Return the metadata in the header of a .safetensors file, whatever it is.

    Raises
    ------
    DataError
        If the file is missing or damaged.
    """
    try:
        with file.open("rb") as stream:
            (size,) = struct.unpack("<Q", stream.read(8))
            if size > file.stat().st_size:
                raise ValueError("its header is longer than the file")
            return dict(json.loads(stream.read(size)).get("__metadata__", {}))
    except (OSError, ValueError, struct.error) as error:
        raise DataError(file, f"cannot be read as .safetensors ({error})", "Install dynsal again") from None
