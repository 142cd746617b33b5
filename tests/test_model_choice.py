"""What a word means as a model: shipped, a file, a training, a baseline, in this order."""

from __future__ import annotations

import pytest
from test_prediction import model

from dynsal import shipped
from dynsal.errors import DataError
from dynsal.model_choice import default_model, load, resolve_model


def test_shipped_nets_come_first(tmp_path, monkeypatch):
    """Also before a baseline or training of the same name."""
    monkeypatch.chdir(tmp_path)
    assert default_model() == shipped.names()[0]
    for name in shipped.names():
        assert resolve_model(name) == shipped.path(name)
    model(tmp_path / "nets/gbvs.safetensors")
    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "nets")
    assert default_model() == "gbvs"
    assert resolve_model("gbvs") == tmp_path / "nets/gbvs.safetensors"
    assert resolve_model("itti") == "itti"
    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "none")
    assert default_model() == resolve_model(default_model()) == "gbvs"


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
