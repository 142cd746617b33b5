"""``dynsal export``: what other programs get is what the pipeline computes."""

from __future__ import annotations

import importlib.util
import json
import re

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from helpers import ROOT
from safetensors.torch import save_file

from dynsal import cli, shipped
from dynsal.config import FlowConfig, NetConfig
from dynsal.inference import Predictor
from dynsal.nets import REGISTRY, build
from dynsal.nets.weights import load_model, save_model

META = {"name": "x", "seed": 3, "size": [64, 48], "flow": FlowConfig(bound=3.0).model_dump()}


def model(folder, arch, coding="salnet", **keys):
    """Write a small model with weights that are not those of its start, so that nothing in it is trivial."""
    config = NetConfig(width=1 / 16, coding=coding, **keys)
    net = build(arch, config, seed=5)
    noise = torch.Generator().manual_seed(6)
    with torch.no_grad():
        for value in net.parameters():
            value += 0.02 * torch.randn(value.shape, generator=noise)
    path = folder / f"{arch}.safetensors"
    save_model(path, net, {**META, "arch": arch, "net": config.model_dump()})
    return path


def clip(count, height, width, seed=0):
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 256, (count, height, width, 3), np.uint8)
    return frames, rng.normal(0, 3, (count, height, width, 2)).astype(np.float32)


def onnx_maps(path, frames, flow):
    """Use the file as docs/weights.md shows."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    given = {"frame": frames.transpose(0, 3, 1, 2), "flow": flow.transpose(0, 3, 1, 2)}
    return session.run(None, {each.name: given[each.name] for each in session.get_inputs()})[0][:, 0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arch", "coding"),
    [
        ("spatial", "log_density"),
        ("temporal", "salnet"),
        ("late", "salnet"),
        ("early", "log_density"),
        ("shallow", "salnet"),
        ("lite", "log_density"),
    ],
)
def test_onnx_gives_the_maps_of_the_pipeline(tmp_path, caplog, monkeypatch, arch, coding):
    """At sizes and batches that neither the tracing nor the command's own check has seen."""
    path = model(tmp_path, arch, coding, fusion_relu=arch == "early")
    with caplog.at_level("INFO"):
        assert cli.main(["export", str(path)]) == 0
    out = tmp_path / f"{arch}.onnx"
    assert f"{out}: ONNX Runtime and torch differ by at most" in caplog.text
    net, meta = load_model(path)
    predict = Predictor(net, meta)
    for count, height, width in ((1, 4, 4), (3, 36, 52), (1, 120, 160)):
        frames, flow = clip(count, height, width)
        expected = predict(frames, flow)
        found = onnx_maps(out, frames, flow)
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * expected.max())
    onnx.checker.check_model(out, full_check=True)
    graph = onnx.load(out)
    assert {prop.key: prop.value for prop in graph.metadata_props}["dynsal"] == json.dumps(
        meta, sort_keys=True
    )
    if arch == "early":  # the example of the documentation
        (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/weights.md").read_text(), re.DOTALL)
        monkeypatch.chdir(tmp_path)
        names: dict[str, np.ndarray] = {}
        exec(example, names)
        assert names["saliency"].shape == (1, 1, 48, 64)
    assert [each.name for each in graph.graph.input] == list(REGISTRY[arch].inputs)
    assert sorted(file.name for file in tmp_path.iterdir()) == [f"{arch}.onnx", f"{arch}.safetensors"]


@pytest.mark.slow
def test_the_default_net_of_predict_as_onnx(tmp_path):
    """Pretrained features, enlarged pictures (zoom 2), prior: what ships, at the size it was trained for and another."""
    path, out = shipped.path(shipped.DEFAULT), tmp_path / "default.onnx"
    assert cli.main(["export", str(path), "--out", str(out)]) == 0
    net, meta = load_model(path)
    assert meta["net"]["lite"]["zoom"] == 2
    predict = Predictor(net, meta)
    for count, height, width in ((2, *meta["size"][::-1]), (1, 44, 100)):
        frames, flow = clip(count, height, width)
        expected = predict(frames, flow)
        np.testing.assert_allclose(onnx_maps(out, frames, flow), expected, rtol=0, atol=1e-4 * expected.max())


@pytest.mark.slow
def test_a_file_that_fails_the_comparison_is_not_kept(tmp_path, caplog):
    """A net that returns no numbers equals nothing, itself included."""
    config = NetConfig(width=1 / 16, coding="log_density")
    net = build("spatial", config)
    with torch.no_grad():
        net.tail.conv9.bias.fill_(float("nan"))
    path = tmp_path / "model.safetensors"
    save_model(path, net, {**META, "arch": "spatial", "net": config.model_dump()})
    assert cli.main(["export", str(path)]) == 1
    assert "model.onnx: not written: ONNX Runtime and torch differ by nan" in caplog.text
    assert [file.name for file in tmp_path.iterdir()] == ["model.safetensors"]


def test_missing_packages_are_named(tmp_path, monkeypatch, caplog):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *more: None if name.startswith("onnxs") else find(name, *more),
    )
    assert cli.main(["export", str(model(tmp_path, "spatial"))]) == 1
    assert "ONNX needs onnxscript. Install what is missing: pip install 'dynsal[onnx]'" in caplog.text


def test_safetensors_read_back_equal(tmp_path, caplog):
    path, out = model(tmp_path, "late"), tmp_path / "deeper" / "out.safetensors"
    assert cli.main(["export", str(path), "--out", str(out)]) == 0
    (net, meta), (again, said) = load_model(path), load_model(out)
    assert said == meta
    assert said["name"] == "x"
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in net.state_dict().items())


@pytest.mark.parametrize(
    ("out", "message"),
    [("m.pt", "no such format"), ("spatial.safetensors", "is the model itself")],
)
def test_outputs_that_make_no_sense(tmp_path, caplog, out, message):
    path = model(tmp_path, "spatial")
    before = path.read_bytes()
    assert cli.main(["export", str(path), "--out", str(tmp_path / out)]) == 1
    assert message in caplog.text
    assert path.read_bytes() == before


def test_what_is_no_model(tmp_path, caplog):
    save_file({"conv1.weight": torch.zeros(1)}, tmp_path / "salnet.safetensors")
    assert cli.main(["export", str(tmp_path / "salnet.safetensors")]) == 1
    assert cli.main(["export", str(tmp_path / "none.safetensors")]) == 1
    assert "no model of this package" in caplog.text
    assert "none.safetensors: cannot be read" in caplog.text
