"""The conda environments pin what the lock pins."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]


def locked():
    """Return {package: versions} of the lock (one version per Python range) and torch's pin."""
    pins: dict[str, set[str]] = {}
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        if found := re.match(r"([a-z0-9_.-]+)==([^ ;\\]+)", line):
            pins.setdefault(found[1], set()).add(found[2])
    torch = re.search(r'"torch==([0-9.]+)"', (ROOT / "pyproject.toml").read_text())
    assert torch
    return {**pins, "torch": {torch[1]}}


@pytest.mark.parametrize("path", sorted((ROOT / "envs").glob("*.yaml")), ids=lambda path: path.stem)
def test_same_pins(path):
    """Every pip requirement is exact and in the lock."""
    pip = next(
        entry["pip"] for entry in yaml.safe_load(path.read_text())["dependencies"] if isinstance(entry, dict)
    )
    pins = locked()
    assert pip
    for requirement in pip:
        name, version = requirement.split("==")
        assert version in pins[name.lower()], requirement


def test_nothing_of_torch_in_the_lock():
    """Torch and its CUDA packages stay out, so that the machine chooses CPU or CUDA; and no addresses are recorded."""
    text = (ROOT / "requirements.lock").read_text()
    assert not re.search(r"^(torch|nvidia|triton|cuda)", text, re.MULTILINE)
    assert "http" not in text
    assert "file:" not in text


def test_the_driver_needs_no_training_environment():
    """Snakemake and its plugin here, torch there: neither brings the other."""
    driver, train = ((ROOT / "envs" / f"{name}.yaml").read_text() for name in ("driver", "train"))
    assert "snakemake==" in driver
    assert "torch==" not in driver
    assert "torch==" in train
    assert "snakemake" not in train


def test_the_container_installs_the_lock():
    """It pins nothing by itself, and its Python is the one the environments name."""
    recipe = (ROOT / "envs" / "Containerfile").read_text()
    steps = "".join(line for line in recipe.splitlines(True) if not line.startswith("#"))
    assert "--require-hashes --no-deps --requirement requirements.lock" in steps
    assert not re.search(r"==[0-9]", steps)
    python = re.search(r"^FROM python:([0-9.]+)", steps, re.MULTILINE)
    assert python
    for path in (ROOT / "envs").glob("*.yaml"):
        assert f"python={python[1]}" in path.read_text(), path
    copied = re.findall(r"^COPY (.*) \./", steps, re.MULTILINE)
    assert copied
    for name in " ".join(copied).split():
        assert (ROOT / name).exists(), name
