"""Models of saliency that came before the nets, by name, all behind the contract of `dynsal.baselines.base`.

A new baseline is one module here, one entry in :data:`REGISTRY`, and one class of options in `dynsal.config_baselines`.
Importing this package loads none of them.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from dynsal.baselines.base import Baseline
    from dynsal.config_baselines import Options


class Entry(NamedTuple):
    """Where a baseline is defined, and which files (of the data set ``baselines``) it needs."""

    module: str
    name: str
    files: tuple[str, ...] = ()


REGISTRY = {
    "gbvs": Entry("dynsal.baselines.gbvs", "Gbvs"),
    "itti": Entry("dynsal.baselines.itti", "Itti"),
    "pqft": Entry("dynsal.baselines.pqft", "Pqft"),
    "icl": Entry("dynsal.baselines.icl", "Icl", ("AW.mat",)),
    "self_resemblance": Entry("dynsal.baselines.self_resemblance", "SelfResemblance"),
    "spectral_residual": Entry("dynsal.baselines.spectral", "SpectralResidual"),
    "temporal_spectral": Entry("dynsal.baselines.spectral", "TemporalSpectral"),
    "rudoy": Entry("dynsal.baselines.rudoy", "Rudoy"),
}


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
    entry = REGISTRY[options.model]  # type: ignore[attr-defined]  # every class of options has one
    made: Baseline = getattr(importlib.import_module(entry.module), entry.name)(options, files)
    return made
