"""The networks: frame and flow image in, one map out, all alike from outside.

A new architecture is one entry in :data:`REGISTRY` (and one in ``ModelConfig.arch``). Importing this package is
cheap: torch and the architecture's module are imported by :func:`build`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import nn

    from dynsal.config import NetConfig


class Entry(NamedTuple):
    """Where an architecture is defined, and which of the two inputs it looks at."""

    module: str
    name: str
    inputs: tuple[str, ...]


REGISTRY = {
    "spatial": Entry("dynsal.nets.salnet", "Spatial", ("frame",)),
    "temporal": Entry("dynsal.nets.salnet", "Temporal", ("flow",)),
    "late": Entry("dynsal.nets.two_stream", "LateFusion", ("frame", "flow")),
    "early": Entry("dynsal.nets.two_stream", "EarlyFusion", ("frame", "flow")),
    "shallow": Entry("dynsal.nets.shallow", "Shallow", ("frame",)),
    "lite": Entry("dynsal.nets.lite", "Lite", ("frame", "flow")),
}


def build(arch: str, net_config: NetConfig, seed: int = 0) -> nn.Module:
    """Return a new net with its initial weights, a pure function of the arguments.

    Parameters
    ----------
    arch
        A key of :data:`REGISTRY`.
    net_config
        Width, fusion and initial weights.
    seed
        Seed of the random initial weights; the global random state is left as it was.

    Raises
    ------
    ValueError
        If the architecture is unknown.
    DataError
        If ``net_config.init`` names a file that is missing or does not fit.
    """
    if arch not in REGISTRY:
        raise ValueError(f"unknown architecture {arch!r}: use {', '.join(REGISTRY)}")
    import torch

    from dynsal.nets.weights import load_initial

    entry = REGISTRY[arch]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net: nn.Module = getattr(importlib.import_module(entry.module), entry.name)(net_config)
    if net_config.init != "he":
        load_initial(net, net_config.init)
    return net
