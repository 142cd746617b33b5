"""Published weights in our nets: the same function as in Caffe, checked layer by layer, and told in every record."""

from __future__ import annotations

import logging
from pathlib import Path
from runpy import run_path

import caffe_files
import numpy as np
import pytest
import torch
from helpers import SCRIPTS, copy_checkout, run_script, snakemake
from safetensors.torch import save_file
from torch.nn import functional

from dynsal import provenance
from dynsal.config import ConfigError, NetConfig, parse
from dynsal.errors import DataError
from dynsal.fileio import sha256
from dynsal.layout import initial_weights
from dynsal.nets import build
from dynsal.nets.coding import normalise_frame
from dynsal.nets.imports import SALNET_SHAPES, VGGM_MEAN_BGR, salnet, vggm
from dynsal.nets.weights import describe_initial, load_initial, load_model, save_imported, save_model

CONV = [f"conv{number}" for number in range(1, 10)]
NARROW = NetConfig(width=1 / 16)


def zeros(shapes) -> dict[str, list[np.ndarray]]:
    """Return arrays of the given shapes (the system hands out zeros without using memory)."""
    return {name: [np.zeros(shape, np.float32) for shape in each] for name, each in shapes.items()}


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Return a file with SalNet's layers at full width (99 MB), and its arrays as tensors."""
    arrays = caffe_files.salnet()
    path = tmp_path_factory.mktemp("published") / "deep_net_model.caffemodel"
    path.write_bytes(caffe_files.net(arrays))
    return path, {name: [torch.from_numpy(array) for array in each] for name, each in arrays.items()}


def head(image, arrays):
    """Compute conv1 to conv4 as SalNet's prototxt has them, with torch's plain functions."""
    x = functional.relu(functional.conv2d(image, *arrays["conv1"], padding=3))
    x = functional.max_pool2d(functional.local_response_norm(x, 5, 1e-4, 0.75, 1.0), 3, 2, ceil_mode=True)
    x = functional.relu(functional.conv2d(x, *arrays["conv2"], padding=2))
    x = functional.max_pool2d(x, 3, 2, ceil_mode=True)
    x = functional.relu(functional.conv2d(x, *arrays["conv3"], padding=1))
    return functional.relu(functional.conv2d(x, *arrays["conv4"], padding=2))


def tail(x, arrays):
    for name, padding in {"conv5": 2, "conv6": 3, "conv7": 5, "conv8": 5}.items():
        x = functional.relu(functional.conv2d(x, *arrays[name], padding=padding))
    return functional.conv2d(x, *arrays["conv9"], padding=6)


def deconv(x, arrays):
    return functional.conv_transpose2d(x, *arrays["deconv1"], stride=4, padding=2)


# ---- SalNet ---------------------------------------------------------------------------------------------------------


def test_shapes_are_those_of_our_net():
    """The list of SalNet's layers, written down from its prototxt, is that of the net built from the paper."""
    with torch.device("meta"):
        state = build("spatial", NetConfig()).state_dict()
    ours = {".".join(name.split(".")[-2:]): tuple(value.shape) for name, value in state.items()}
    theirs = {
        f"{layer.replace('deconv1', 'deconv')}.{kind}": shape
        for layer, shapes in SALNET_SHAPES.items()
        for kind, shape in zip(("weight", "bias"), shapes, strict=False)
    }
    assert theirs == ours


def test_nets_compute_what_caffe_did(published, caplog):
    """The paper's two fusions with SalNet's weights in both streams, straight from the .caffemodel."""
    path, arrays = published
    frame, flow = torch.randn(2, 1, 3, 32, 48, generator=torch.Generator().manual_seed(0)).unbind()
    with torch.inference_mode():
        both = [head(frame, arrays), head(flow, arrays)]
        expected = {
            "early": deconv(tail(0.5 * (both[0] + both[1]), arrays), arrays),
            "late": deconv(torch.maximum(*(tail(x, arrays) for x in both)), arrays),
        }
        for arch, map_ in expected.items():
            caplog.clear()
            with caplog.at_level(logging.INFO):
                net = build(arch, NetConfig(init=str(path), fusion_init_scale=0.5)).eval()
            torch.testing.assert_close(net(frame, flow), map_, rtol=1e-4, atol=1e-4 * float(map_.std()))
            assert ("conv_fuse" in caplog.text) is (arch == "early")
            assert ("motion.conv1" in caplog.text) is (arch == "early")
            assert ("motion.head.conv1" in caplog.text) is (arch == "late")


def test_converted_once_it_serves_every_net(published, tmp_path):
    path, arrays = published
    out = tmp_path / "salnet.safetensors"
    save_imported(out, path, "salnet")
    origin = describe_initial(out)
    assert origin == {
        "weights": "salnet",
        "file": "deep_net_model.caffemodel",
        "sha256": sha256(path),
        "layers": [*CONV, "deconv"],
    }
    assert describe_initial(path) == origin
    with torch.device("meta"):  # the structure only; the values are assigned below
        net = build("temporal", NetConfig())
    net = net.to_empty(device="cpu")
    load_initial(net, out)
    for name, value in net.state_dict().items():
        layer, kind = name.split(".")[-2:]
        theirs = arrays["deconv1" if layer == "deconv" else layer][kind == "bias"]
        assert torch.equal(value, theirs), name


def test_old_files_give_every_array_four_sides():
    arrays = zeros(SALNET_SHAPES)
    arrays["conv8"][1] = np.arange(32, dtype=np.float32).reshape(1, 1, 1, 32)
    found = salnet(arrays)
    assert found["conv8.bias"].tolist() == list(range(32))
    assert found["deconv.weight"].shape == (1, 1, 8, 8)


def test_every_misfit_is_listed(tmp_path):
    arrays = zeros(SALNET_SHAPES)
    del arrays["conv4"]
    arrays["conv6"] = [np.zeros((256, 512, 5, 5), np.float32), arrays["conv6"][1]]
    arrays["conv7"] = arrays["conv7"][:1]
    arrays["conv9"] = [arrays["conv9"][0], np.full(1, np.nan, np.float32)]
    arrays["deconv1"] = [*arrays["deconv1"], np.zeros(1, np.float32)]
    arrays["score"] = [np.zeros(3, np.float32)]
    with pytest.raises(ValueError, match="score") as caught:
        salnet(arrays)
    assert str(caught.value).split("; ") == [
        "score is not in SalNet",
        "conv4 is missing",
        "conv6.weight is 256x512x5x5, not 256x512x7x7",
        "conv7 has 1 arrays instead of 2",
        "conv9.bias has values that are not finite",
        "deconv1 has 2 arrays instead of 1",
    ]


def test_a_file_of_another_net_is_named(tmp_path):
    path = tmp_path / "net.caffemodel"
    path.write_bytes(caffe_files.net({"conv1": [np.zeros((2, 3, 7, 7)), np.zeros(2)]}))
    with pytest.raises(DataError, match=r"net\.caffemodel: does not fit salnet: conv1\.weight is 2x3x7x7"):
        build("spatial", NetConfig(init=str(path)))
    with pytest.raises(DataError, match=r"does not fit vggm: .*; conv2 is missing; conv3 is missing"):
        save_imported(tmp_path / "out.safetensors", path, "vggm")
    assert not (tmp_path / "out.safetensors").exists()


# ---- VGG-CNN-M ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def vgg():
    """Return arrays like VGG-CNN-M's: filters with colour, biases of the size that inputs in 0..255 call for."""
    arrays = caffe_files.salnet(1, ["conv1", "conv2", "conv3"])
    arrays = {name: [weight, 300 * bias] for name, (weight, bias) in arrays.items()}
    return {**arrays, "fc6": [np.zeros((2, 8), np.float32), np.zeros(2, np.float32)]}


def test_vgg_acts_on_our_frames_as_on_its_own_inputs(vgg):
    """conv1 to conv3 return 2/255 of their responses to the frame as VGG-CNN-M saw it, away from the borders."""
    ours = vggm(vgg)
    theirs = {name: [torch.from_numpy(array) for array in vgg[name]] for name in ("conv1", "conv2", "conv3")}
    frame = torch.randint(
        0, 256, (1, 3, 40, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(2)
    )
    x = normalise_frame(frame)
    y = frame.float() - torch.tensor(VGGM_MEAN_BGR)[:, None, None]
    edge = 0
    for name, padding in {"conv1": 3, "conv2": 2, "conv3": 1}.items():
        x = functional.relu(
            functional.conv2d(x, ours[f"{name}.weight"], ours[f"{name}.bias"], padding=padding)
        )
        y = functional.relu(functional.conv2d(y, *theirs[name], padding=padding))
        edge += padding
        inner = (..., slice(edge, -edge), slice(edge, -edge))
        expected = y[inner] * (2 / 255)
        torch.testing.assert_close(x[inner], expected, rtol=1e-3, atol=1e-4 * float(expected.max()))
        if name == "conv1":  # the other mean is worth more than the tolerance
            unmoved = functional.conv2d(normalise_frame(frame), theirs[name][0], theirs[name][1] * (2 / 255))
            assert float((unmoved.relu() - expected).abs().max()) > 1e-2 * float(expected.max())
    assert set(ours) == {f"{name}.{kind}" for name in theirs for kind in ("weight", "bias")}


def test_vgg_fills_three_layers_and_the_log_says_which(vgg, tmp_path, caplog):
    path, out = tmp_path / "VGG_CNN_M.caffemodel", tmp_path / "vggm.safetensors"
    path.write_bytes(caffe_files.net(vgg, "V1"))
    save_imported(out, path, "vggm")
    assert describe_initial(out) == describe_initial(path)
    assert describe_initial(out)["layers"] == ["conv1", "conv2", "conv3"]
    expected = vggm(vgg)
    random = build("spatial", NetConfig(), seed=3).state_dict()
    for file in (path, out):
        caplog.clear()
        with caplog.at_level(logging.INFO):
            state = build("spatial", NetConfig(init=str(file)), seed=3).state_dict()
        for name, value in state.items():
            short = name.removeprefix("head.").removeprefix("tail.")
            assert torch.equal(value, expected.get(short, random[name])), name
        filled, rest = caplog.text.splitlines()
        assert filled.endswith(f"{file}: head.conv1, head.conv2, head.conv3")
        assert "deconv, head.conv4, tail.conv5" in rest


# ---- configuration and records --------------------------------------------------------------------------------------


@pytest.mark.parametrize("init", ["salnet", "vggm"])
def test_published_weights_have_one_width(init):
    assert parse({"net": {"init": init}}).net.init == init
    with pytest.raises(ConfigError, match=rf"init: {init} has the paper's width, 1.0, not 0.25; use width"):
        parse({"net": {"init": init, "width": 0.25}})


@pytest.mark.parametrize("init", ["SalNet", "xavier", "weights.pt", "model.h5", ""])
def test_unknown_initial_weights_are_refused_at_once(init):
    with pytest.raises(ConfigError, match=r"net\.init"):
        parse({"net": {"init": init}})


def test_files_of_the_configuration():
    assert initial_weights("he") is None
    assert initial_weights("vggm") == "results/weights/vggm.safetensors"
    assert initial_weights("old/model.safetensors") == "old/model.safetensors"


def test_a_training_by_hand_must_be_given_its_file():
    """Neither He in place of what the configuration says, nor weights that it does not tell of."""
    initial_file = run_path(str(SCRIPTS / "train.py"))["initial_file"]
    assert initial_file("he", None) is None
    assert initial_file("salnet", Path("w.safetensors")) == Path("w.safetensors")
    with pytest.raises(
        DataError, match=r"net\.init is salnet, .* Give --init results/weights/salnet\.safetensors"
    ):
        initial_file("salnet", None)
    with pytest.raises(DataError, match=r"net\.init is he, and w\.safetensors is given"):
        initial_file("he", Path("w.safetensors"))


@pytest.mark.parametrize(("arch", "into"), [("early", "early"), ("spatial", "late"), ("temporal", "early")])
def test_trained_nets_are_initial_weights(tmp_path, arch, into):
    """A model file starts a training of the same net, or both streams of one with two."""
    path = tmp_path / "model.safetensors"
    trained = build(arch, NARROW, seed=8)
    save_model(path, trained, {"arch": arch, "net": NARROW.model_dump()})
    state = build(into, NARROW.model_copy(update={"init": str(path)}), seed=1).state_dict()
    source = trained.state_dict()
    for name, value in state.items():
        if arch == into:
            assert torch.equal(value, source[name]), name
        elif not name.startswith("conv_fuse"):
            (same,) = (key for key in source if key.split(".")[-2:] == name.split(".")[-2:])
            assert torch.equal(value, source[same]), name
    assert describe_initial(path) == {"weights": "file", "file": path.name, "sha256": sha256(path)}


def told(**runs) -> str:
    return provenance.initial_weights({name: {"initial_weights": said} for name, said in runs.items()})


def test_notes_of_the_table():
    he, salnet_ = {"weights": "he"}, {"weights": "salnet", "file": "d.caffemodel", "sha256": "ab12"}
    assert told(a=he, b=he) == "He (random); the paper starts from SalNet's"
    assert told(a=salnet_) == "SalNet's, as the paper's (sha256 ab12)"
    vgg_ = {"weights": "vggm", "file": "v.caffemodel", "sha256": "cd", "layers": ["conv1", "conv2", "conv3"]}
    assert told(a=vgg_).startswith("VGG-CNN-M's conv1, conv2, conv3, else He (sha256 cd); the paper")
    own = {"weights": "file", "file": "model.safetensors", "sha256": "ef"}
    assert told(a=salnet_, b=own, c=own) == (
        "SalNet's, as the paper's (sha256 ab12) for a; model.safetensors (sha256 ef) for b, c; "
        "the paper starts from SalNet's"
    )


def test_a_weights_file_is_no_model(tmp_path):
    save_file({"conv1.weight": torch.zeros(1)}, tmp_path / "salnet.safetensors", {"dynsal_origin": "{}"})
    with pytest.raises(DataError, match="no model of this package"):
        load_model(tmp_path / "salnet.safetensors")


def test_script_tells_an_error_page_in_one_line(tmp_path):
    page = tmp_path / "deep_net_model.caffemodel"
    page.write_text("<!DOCTYPE html>\n<title>404</title>")
    done = run_script(
        "weights", "--name", "salnet", "--caffemodel", page, "--out", "salnet.safetensors", cwd=tmp_path
    )
    assert done.rc == 1
    assert "web page" in done.log
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("*.safetensors"))


@pytest.mark.slow
def test_the_rule_converts_the_download(vgg, tmp_path):
    """net.init vggm: the training's input is the converted file, made from what the download left."""
    folder = copy_checkout(tmp_path / "checkout")
    raw = folder / "results/weights/raw/VGG_CNN_M.caffemodel"
    raw.parent.mkdir(parents=True)
    raw.write_bytes(caffe_files.net(vgg, "V1"))
    (folder / "wide.yaml").write_text("net: {init: vggm, width: 1.0}")
    config = ["--configfile", "config/config.yaml", "wide.yaml"]
    planned = snakemake(folder, "-n", "--quiet", "rules", *config, "--", "models")
    assert "weights" in planned.text
    done = snakemake(folder, "--cores", 1, *config, "--", "results/weights/vggm.safetensors")
    assert done.rc == 0, done.text[-3000:]
    assert describe_initial(folder / "results/weights/vggm.safetensors")["sha256"] == sha256(raw)
