"""`dynsal info`, and the nets that come with the package."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from helpers import environment
from safetensors.torch import save_file

from dynsal import layout, shipped
from dynsal.cli import main
from dynsal.config import NetConfig
from dynsal.datasets import REGISTRY as DATASETS
from dynsal.errors import DataError
from dynsal.inference import Predictor
from dynsal.inventory import data_sets
from dynsal.metrics import METRICS
from dynsal.nets import REGISTRY as NETS
from dynsal.nets import build
from dynsal.nets.weights import copy_with_header, load_model, save_model


def test_info_lists_everything(tmp_path, capsys, monkeypatch):
    """Every data set, net, baseline, metric and weight file, as text and as JSON."""
    monkeypatch.chdir(tmp_path)
    model = tmp_path / "results" / "demo" / "models" / "early" / "seed0" / "model.safetensors"
    model.parent.mkdir(parents=True)
    config = NetConfig(width=0.0625)
    save_model(model, build("early", config), {"arch": "early", "net": config.model_dump(), "size": [64, 48]})
    broken = model.parent.parent / "seed1" / "model.safetensors"
    broken.parent.mkdir()
    broken.write_bytes(b"\xff" * 20)
    assert main(["info"]) == 0
    text = capsys.readouterr().out
    assert main(["info", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found["data sets"]) == set(DATASETS)
    assert set(found["nets"]) == set(NETS)
    assert set(found["metrics"]) == set(METRICS)
    assert found["software"]["torch"] == torch.__version__
    assert "25,806,209 parameters" in found["nets"]["spatial"]  # the paper's single stream
    trained = found["weights trained here"]
    assert trained["results/demo/models/early/seed0/model.safetensors"]["input"] == "64x48"
    assert "cannot be read" in trained["results/demo/models/early/seed1/model.safetensors"]
    for name in [*DATASETS, *NETS, *METRICS, *shipped.names()]:
        assert f"  {name}:" in text


def test_outside_a_checkout_data_sets_say_what_they_need(monkeypatch):
    """An installed package has no folder resources."""

    def nowhere():
        raise DataError("here", "no checkout", "Go there")

    monkeypatch.setattr(layout, "repo_root", nowhere)
    assert set(data_sets().values()) == {"needs a checkout of dynsal"}


def test_listing_needs_no_torch():
    code = "import sys; from dynsal import shipped; shipped.names(); assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", shipped.names())
def test_shipped_nets_are_small_honest_and_work(name):
    """Each rebuilds itself, has its card, and its maps are not flat."""
    path = shipped.path(name)
    assert path.stat().st_size < 25e6
    card = shipped.card(path)
    assert card["terms"]
    assert len(card["sha256"]) == 64
    value, low, high = card["scores"]["sauc"]
    assert 0 <= low <= value <= high <= 1
    net, meta = load_model(path)
    width, height = meta["size"]
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 255, (1, height, width, 3), np.uint8)
    (saliency,) = Predictor(net, meta)(frame, np.zeros((1, height, width, 2), np.float32))
    assert saliency.max() > 1.2 * saliency.mean()


def test_the_default_is_there():
    assert shipped.names()[0] == shipped.DEFAULT


def test_unknown_names_are_told(tmp_path):
    with pytest.raises(DataError, match=shipped.DEFAULT):
        shipped.path("nonsense")
    damaged = tmp_path / "x.safetensors"
    damaged.write_bytes(b"\x10\x00\x00")
    with pytest.raises(DataError, match="cannot be read"):
        shipped.card(damaged)


def test_a_card_changes_no_weight(tmp_path):
    source, out = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    save_file({"x": torch.arange(5.0)}, source, metadata={"dynsal": "{}"})
    copy_with_header(source, out, shipped.CARD, '{"terms": "none"}')
    assert shipped.header(out) == {"dynsal": "{}", shipped.CARD: '{"terms": "none"}'}
    assert shipped.card(out) == {"terms": "none"}
    assert shipped.card(source) == {}
    from safetensors.torch import load_file

    assert torch.equal(load_file(out)["x"], torch.arange(5.0))
