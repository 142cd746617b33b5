"""What a word means as a model: shipped, a file, a training, a baseline, in this order."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest
from test_prediction import model

import dynsal
from dynsal.errors import DataError
from dynsal.model_choice import default_model, load, resolve_model


@pytest.fixture
def _shipping(monkeypatch, tmp_path):
    """Pretend that dynsal comes with two nets, one of them called as a baseline is."""
    module = ModuleType("dynsal.shipped")
    module.names = lambda: ("laptop", "gbvs")
    module.path = lambda name: tmp_path / f"{name}.safetensors"
    module.__spec__ = ModuleSpec("dynsal.shipped", None)
    monkeypatch.setitem(sys.modules, "dynsal.shipped", module)
    monkeypatch.setattr(dynsal, "shipped", module, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("_shipping")
def test_shipped_nets_come_first(tmp_path):
    assert default_model() == "laptop"
    assert resolve_model("laptop") == tmp_path / "laptop.safetensors"
    assert resolve_model("gbvs") == tmp_path / "gbvs.safetensors"
    assert resolve_model("itti") == "itti"


def test_files_and_trainings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trained = tmp_path / "results/a/models/itti/seed0/model.safetensors"
    model(trained)
    assert resolve_model("itti") == trained.relative_to(tmp_path)
    assert resolve_model("pqft") == "pqft"
    model(tmp_path / "results/b/models/itti/seed0/model.safetensors")
    with pytest.raises(DataError, match="name of 2 trained models"):
        resolve_model("itti")
    model(tmp_path / "itti")  # a file, whatever it is called
    assert str(resolve_model("itti")) == "itti"
    made, facts = load("itti", device="cpu")
    assert made.size == (32, 24)
    assert facts == {"model": "itti"}
    for word in ("nothing", ""):
        with pytest.raises(DataError, match="neither a baseline nor a trained model"):
            resolve_model(word)
    with pytest.raises(DataError, match="cannot be read"):
        load("absent.safetensors")
