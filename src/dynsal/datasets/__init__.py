"""The data sets, by name. Importing this package loads none of them, and no numpy.

A new data set is one module with a `dynsal.datasets.base.Dataset` in it and one entry here.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dynsal.config import DatasetConfig
    from dynsal.datasets.base import Dataset

REGISTRY = {
    "demo": "Demo",
    "demo_stills": "DemoStills",
    "diem": "Diem",
    "diem_stavis": "DiemStavis",
    "folder": "Folder",
    "hevc33": "Hevc33",
    "osie": "Osie",
    "salicon": "Salicon",
}
"""Module here, named like the data set, and the class in it."""

SOURCES = {("diem", "stavis"): "diem_stavis"}
"""(Name of the data set, key ``source``) -> the module with another reader of it; `REGISTRY` has its class."""


def reader(config: DatasetConfig) -> str:
    """Return the module here that reads the configured data set."""
    return SOURCES.get((config.name, config.source), config.name)


def dataset_class(name: str) -> type[Dataset]:
    """Return the class of a reader.

    Raises
    ------
    KeyError
        If there is no reader of that name.
    """
    found: type[Dataset] = getattr(importlib.import_module(f"{__name__}.{name}"), REGISTRY[name])
    return found


def open_dataset(config: DatasetConfig, root: Path) -> Dataset:
    """Return the configured data set, reading from ``root`` (results/<data set>/raw)."""
    return dataset_class(reader(config))(Path(root), config)
