"""The conda environments pin what the lock pins."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from helpers import environment

ROOT = Path(__file__).resolve().parents[1]
ENVS = sorted((ROOT / "envs").glob("*.yaml"))


def locked():
    """Return {package: versions} of the lock (one version per Python range) and torch's pin."""
    pins: dict[str, set[str]] = {}
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        if found := re.match(r"([a-z0-9_.-]+)==([^ ;\\]+)", line):
            pins.setdefault(found[1], set()).add(found[2])
    torch = re.search(r'"torch==([0-9.]+)"', (ROOT / "pyproject.toml").read_text())
    assert torch
    return {**pins, "torch": {torch[1]}}


@pytest.mark.parametrize("path", ENVS, ids=lambda path: path.stem)
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


def steps() -> dict[str, set[str]]:
    """Return {environment: scripts} as the rules name them."""
    found: dict[str, set[str]] = {}
    for file in sorted((ROOT / "workflow/rules").glob("*.smk")):
        for block in re.split(r"^(?=\s*(?:rule|use rule|checkpoint) )", file.read_text(), flags=re.MULTILINE):
            scripts = re.findall(r'smk_script\("(\w+)"\)', block)
            if conda := re.search(r"envs/(\w+)\.yaml", block):
                found.setdefault(conda[1], set()).update(scripts)
    return found


ONLY = """
import importlib.abc, importlib.metadata, importlib.util, sys
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

wanted, scripts = sys.argv[1].split(","), sys.argv[2:]
held, queue = set(), [canonicalize_name(name) for name in wanted]
while queue:
    name = queue.pop()
    if name in held:
        continue
    held.add(name)
    needs = [Requirement(text) for text in importlib.metadata.requires(name) or []]
    queue += [canonicalize_name(need.name) for need in needs if not need.marker or need.marker.evaluate({"extra": ""})]
absent = {
    module
    for module, names in importlib.metadata.packages_distributions().items()
    if not held & {canonicalize_name(name) for name in names} and module != "dynsal"
}

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in absent:
            raise ModuleNotFoundError(f"{name} is not in this environment", name=name)

for module in [module for module in sys.modules if module.split(".")[0] in absent]:
    del sys.modules[module]
sys.meta_path.insert(0, Absent())
missing = []
for script in scripts:
    spec = importlib.util.spec_from_file_location("step", script)
    try:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    except ImportError as error:
        missing.append(f"{script}: {error}")
print(len(scripts), "torch" in absent)
sys.exit("\\n".join(missing) or 0)
"""


@pytest.mark.parametrize("env", ["data", "tables", "train"])
def test_every_step_starts_with_what_its_environment_holds(env):
    """Its script is imported while all other packages are hidden."""
    entries = yaml.safe_load((ROOT / f"envs/{env}.yaml").read_text())["dependencies"]
    pip = next(entry["pip"] for entry in entries if isinstance(entry, dict))
    names = ",".join(requirement.split("==")[0] for requirement in pip)
    scripts = sorted(str(ROOT / f"workflow/scripts/{name}.py") for name in steps()[env])
    assert len(scripts) > 5
    done = subprocess.run(
        [sys.executable, "-c", ONLY, names, *scripts],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-1500:]
    assert done.stdout.split() == [str(len(scripts)), str(env != "train")]
