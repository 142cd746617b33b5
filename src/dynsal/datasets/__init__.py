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

REGISTRY = {"demo": "Demo", "diem": "Diem", "folder": "Folder", "hevc33": "Hevc33"}
"""Name of the data set, which is its module here, and the class in it."""


def dataset_class(name: str) -> type[Dataset]:
    """Return the class of a data set.

    Raises
    ------
    KeyError
        If there is no data set of that name.
    """
    found: type[Dataset] = getattr(importlib.import_module(f"{__name__}.{name}"), REGISTRY[name])
    return found


def open_dataset(config: DatasetConfig, root: Path) -> Dataset:
    """Return the configured data set, reading from ``root`` (results/<data set>/raw)."""
    return dataset_class(config.name)(Path(root), config)
