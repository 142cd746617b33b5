"""What is here: versions, devices, data sets, models, weights and metrics; for `dynsal info` and bug reports."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import cv2
import torch

from dynsal import layout, nets, provenance, shipped
from dynsal.config import NetConfig
from dynsal.config_baselines import Options
from dynsal.datasets import REGISTRY as DATASETS
from dynsal.datasets import dataset_class
from dynsal.device import usable_cpus
from dynsal.download import mirror_folders
from dynsal.errors import DataError
from dynsal.metrics import METRICS


def inventory(results: Path) -> dict[str, Any]:
    """Return all of it as plain JSON values; ``results`` is the folder in which trained models are looked for."""
    return {
        "software": software(),
        "machine": machine(),
        "data sets": data_sets(),
        "nets": architectures(),
        "baselines": {
            kind.model_fields["model"].default: _first_line(kind) for kind in Options.__subclasses__()
        },
        "weights in the package": {name: weights(shipped.path(name)) for name in shipped.names()},
        "weights trained here": {
            str(path): weights(path) for path in sorted(results.glob("*/models/*/seed*/model.safetensors"))
        },
        "metrics": {
            name: f"{metric.label}, {'higher' if metric.higher_is_better else 'lower'} is better, needs {metric.needs}"
            for name, metric in METRICS.items()
        },
    }


def software() -> dict[str, Any]:
    """Return the versions of the package, its commit, and the libraries that can change a number."""
    found: dict[str, Any] = dict(provenance.versions())
    found["commit"] = provenance.commit(Path(__file__).resolve().parents[2])
    found["ffmpeg libraries"] = {
        name: ".".join(map(str, version)) for name, version in av.library_versions.items()
    }
    found["DeepFlow"] = (
        "yes"
        if hasattr(cv2, "optflow")
        else "no: opencv-contrib-python-headless is not what `import cv2` finds"
    )
    return found


def machine() -> dict[str, Any]:
    """Return processor, cores that this process may use, memory, and GPUs."""
    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return {
        **provenance.hardware(),
        "cores usable": usable_cpus(),
        "GPUs": gpus or "none (nets run on the CPU)",
    }


def data_sets() -> dict[str, str]:
    """Return for every reader what it reads, how much there is to fetch, and whether mirror folders have it."""
    try:
        layout.repo_root()
    except DataError:
        return dict.fromkeys(DATASETS, "needs a checkout of dynsal")
    return {
        name: f"{_first_line(sys.modules[dataset_class(name).__module__])} {_at_hand(name)}".strip()
        for name in DATASETS
    }


def architectures() -> dict[str, str]:
    """Return for every net its inputs and, at width 1, its number of parameters."""
    found = {}
    for name, entry in nets.REGISTRY.items():
        with torch.device("meta"):
            net = nets.build(name, NetConfig())
        count = sum(value.numel() for value in net.parameters())
        found[name] = f"sees {' and '.join(entry.inputs)}; {count:,} parameters at width 1"
    return found


def weights(file: Path) -> dict[str, Any] | str:
    """Return what a model file says about itself, or what is wrong with it."""
    try:
        said, card = json.loads(shipped.header(file).get("dynsal", "{}")), shipped.card(file)
    except (DataError, ValueError) as error:
        return str(error)
    facts: dict[str, Any] = {"arch": said.get("arch", said.get("options", {}).get("model", "unknown"))}
    if "net" in said and "width" in said["net"]:
        facts["width"] = said["net"]["width"]
    if "size" in said:
        facts["input"] = "x".join(map(str, said["size"]))
    facts["megabytes"] = round(file.stat().st_size / 1e6, 2)
    if card:
        facts |= {name: card[name] for name in ("dataset", "terms", "citation") if card.get(name)}
        value, low, high = card["scores"]["sauc"]
        facts["sAUC on its test videos"] = (
            f"{value:.3f} [{low:.3f}, {high:.3f}], {card['scores']['n_videos']} videos"
        )
    return facts


def _at_hand(name: str) -> str:
    if not layout.has_registry(name):
        return "(nothing to fetch)"
    rows = layout.registry(name)
    here = sum(any((folder / name / row.file).is_file() for folder in mirror_folders()) for row in rows)
    size = sum(row.expected or 0 for row in rows) / 1e6
    return f"({len(rows)} files, {size:,.0f} MB; {here} of them in mirror folders)"


def _first_line(kind: type | ModuleType) -> str:
    return (kind.__doc__ or "").strip().splitlines()[0]
