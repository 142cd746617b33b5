"""The architectures against the paper's tables, and what each initial weight must be."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from dynsal.config import NetConfig
from dynsal.errors import DataError
from dynsal.nets import REGISTRY, build
from dynsal.nets.salnet import LocalResponse, channels
from dynsal.nets.weights import load_model, save_model

SMALL = NetConfig(width=1 / 16)
SINGLE = 25_806_209


def on_meta(arch: str, **keys) -> nn.Module:
    with torch.device("meta"):
        return build(arch, NetConfig(**keys))


def inputs(n: int = 2, height: int = 32, width: int = 48, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, n, 3, height, width, generator=generator).unbind()


@pytest.mark.parametrize(
    ("arch", "count"),
    [("spatial", SINGLE), ("temporal", SINGLE), ("late", 51_612_354), ("early", 34_694_145)],
)
def test_parameter_counts_of_the_paper(arch, count):
    assert sum(p.numel() for p in on_meta(arch).parameters()) == count


def gmac(net: nn.Module, height: int = 480, width: int = 640) -> dict[str, float]:
    """Multiply-accumulates of every convolution, from the shapes that pass through it."""
    found: dict[str, float] = {}

    def count(name):
        def hook(layer, _inputs, output):
            if isinstance(layer, nn.ConvTranspose2d):  # every output pixel gets (kernel / stride)^2 taps
                per_pixel = (layer.kernel_size[0] // layer.stride[0]) ** 2
            else:
                per_pixel = layer.in_channels * layer.kernel_size[0] ** 2
            found[name] = per_pixel * output.numel() / 1e9

        return hook

    for name, layer in net.named_modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            layer.register_forward_hook(count(name))
    image = torch.empty(1, 3, height, width, device="meta")
    assert net(image, image).shape == (1, 1, height, width)
    return found


def test_multiplications_per_layer_are_those_of_the_table():
    found = gmac(on_meta("spatial"))
    expected = [4.34, 47.19, 22.65, 125.83, 125.83, 123.31, 76.13, 9.52, 0.10, 0.0]
    assert list(found.values()) == pytest.approx(expected, abs=0.006)
    assert list(found)[-1] == "deconv"


@pytest.mark.parametrize(
    ("arch", "total"), [("spatial", 535), ("temporal", 535), ("late", 1070), ("early", 745)]
)
def test_multiplications_in_all(arch, total):
    full = sum(gmac(on_meta(arch)).values())
    assert full == pytest.approx(total, abs=0.6)
    assert sum(gmac(on_meta(arch), 240, 320).values()) == pytest.approx(full / 4)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(list(REGISTRY)), st.integers(1, 200), st.integers(1, 200))
def test_multiples_of_four_come_back_in_their_size(arch, height, width):
    image = torch.empty(1, 3, 4 * height, 4 * width, device="meta")
    assert on_meta(arch, width=1 / 16)(image, image).shape == (1, 1, 4 * height, 4 * width)


def test_smallest_input_works_on_real_tensors():
    frame, flow = inputs(1, 4, 4)
    assert build("early", SMALL)(frame, flow).shape == (1, 1, 4, 4)


@pytest.mark.parametrize("arch", REGISTRY)
def test_other_sizes_are_refused_with_the_nearest_that_work(arch):
    image = torch.empty(1, 3, 478, 638, device="meta")
    with pytest.raises(ValueError, match=r"not for 638x478; resize or pad to 636x476 or 640x480"):
        on_meta(arch, width=1 / 16)(image, image)


def test_pools_that_round_down_would_give_the_classic_wrong_size():
    net = on_meta("spatial", width=1 / 16)
    image = torch.empty(1, 3, 480, 640, device="meta")
    sizes = []
    net.head.conv2.register_forward_hook(lambda _l, args, _o: sizes.append(tuple(args[0].shape[2:])))
    net.head.conv3.register_forward_hook(lambda _l, args, _o: sizes.append(tuple(args[0].shape[2:])))
    assert net(image, image).shape[2:] == (480, 640)
    assert sizes == [(240, 320), (120, 160)]
    net.head.pool.ceil_mode = False
    assert net(image, image).shape[2:] == (476, 636)
    assert sizes[2:] == [(239, 319), (119, 159)]


def test_width_scales_hidden_channels_and_keeps_at_least_one():
    assert [channels(base, 0.25) for base in (96, 256, 512, 32)] == [24, 64, 128, 8]
    assert channels(32, 1 / 64) == 1  # 0.5 rounds up
    assert channels(32, 1e-6) == 1
    assert channels(96, 0.1) == 10


def test_initial_weights_are_he_normal_and_biases_zero():
    net = build("spatial", NetConfig())
    stds = {
        "head.conv1": 0.116642,
        "head.conv2": 0.028868,
        "head.conv3": 0.029463,
        "head.conv4": 0.0125,
        "tail.conv5": 0.0125,
        "tail.conv6": 0.008929,
        "tail.conv7": 0.008035,
        "tail.conv8": 0.011364,
        "tail.conv9": 0.013598,
    }
    for name, std in stds.items():
        layer = net.get_submodule(name)
        error = 4 / math.sqrt(2 * layer.weight.numel())  # four standard errors of a standard deviation
        assert layer.weight.std().item() == pytest.approx(std, rel=error), name
        assert not layer.bias.any()


def test_deconvolution_starts_as_bilinear_interpolation():
    weight = build("spatial", SMALL).deconv.weight[0, 0]
    taps = torch.tensor([0.125, 0.375, 0.625, 0.875, 0.875, 0.625, 0.375, 0.125])
    assert torch.equal(weight, torch.outer(taps, taps))
    out = build("late", SMALL).deconv(torch.ones(1, 1, 9, 11))
    assert torch.equal(out[..., 4:-4, 4:-4], torch.ones(1, 1, 28, 36))


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_fusion_starts_as_sum_or_mean_of_the_streams(scale):
    net = build("early", NetConfig(width=1 / 16, fusion_init_scale=scale))
    a, b = torch.rand(2, 1, 32, 5, 6).unbind()
    assert torch.allclose(net.conv_fuse(torch.cat([a, b], 1)), scale * (a + b), atol=1e-6)


def test_relu_after_fusion_changes_nothing_at_the_start():
    plain = build("early", SMALL, seed=3)
    rectified = build("early", NetConfig(width=1 / 16, fusion_relu=True), seed=3)
    assert torch.equal(plain(*inputs()), rectified(*inputs()))
    with torch.no_grad():
        plain.conv_fuse.weight.neg_()
        rectified.conv_fuse.weight.neg_()
    assert not torch.equal(plain(*inputs()), rectified(*inputs()))


def test_late_with_equal_streams_is_the_single_stream():
    single, late = build("spatial", SMALL, seed=1), build("late", SMALL, seed=2)
    for stream in (late.appearance, late.motion):
        stream.head.load_state_dict(single.head.state_dict())
        stream.tail.load_state_dict(single.tail.state_dict())
    frame, flow = inputs()
    assert torch.equal(late(frame, frame), single(frame, flow))


def test_late_takes_the_larger_stream_and_trains_only_the_winner():
    net = build("late", SMALL)
    with torch.no_grad():
        net.motion.tail.conv9.bias.fill_(1e6)
    frame, flow = inputs()
    net(frame, flow).sum().backward()
    assert net.motion.tail.conv9.bias.grad.abs() > 0
    assert not net.appearance.tail.conv9.bias.grad.any()


@pytest.mark.parametrize("arch", REGISTRY)
def test_every_net_looks_at_its_inputs_and_at_nothing_else(arch):
    net = build(arch, SMALL, seed=5)
    frame, flow = inputs()
    other_frame, other_flow = inputs(seed=1)
    base = net(frame, flow)
    assert torch.equal(net(other_frame, flow), base) is ("frame" not in REGISTRY[arch].inputs)
    assert torch.equal(net(frame, other_flow), base) is ("flow" not in REGISTRY[arch].inputs)


def test_build_is_a_function_of_its_seed_and_leaves_the_global_state_alone():
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    first, again, other = (build("early", SMALL, seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["tail.conv5.weight"], other["tail.conv5.weight"])


def test_unknown_architecture():
    with pytest.raises(ValueError, match="spatial, temporal, late, early, shallow"):
        build("middle", SMALL)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_local_response_equals_torch(layout):
    reference = nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0)
    x = (100 * torch.rand(2, 7, 9, 11) - 50).contiguous(memory_format=layout)
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    a, b = LocalResponse()(ours), reference(theirs)
    assert torch.allclose(a, b, rtol=1e-6, atol=1e-6)
    a.square().sum().backward()
    b.square().sum().backward()
    assert torch.allclose(ours.grad, theirs.grad, rtol=1e-5, atol=1e-4)


def test_initial_weights_from_a_file_of_the_same_net(tmp_path):
    net = build("early", SMALL, seed=9)
    save_file(net.state_dict(), tmp_path / "w.safetensors")
    again = build("early", NetConfig(width=1 / 16, init=str(tmp_path / "w.safetensors")))
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in net.state_dict().items())


@pytest.mark.parametrize("plain_names", [True, False])
@pytest.mark.parametrize("arch", ["late", "early"])
def test_one_stream_initialises_both(tmp_path, arch, plain_names):
    single = build("spatial", SMALL, seed=4).state_dict()
    path = tmp_path / "salnet.safetensors"
    strip = ("head.", "tail.") if plain_names else ()
    for prefix in strip:
        single = {name.removeprefix(prefix): value for name, value in single.items()}
    save_file(single, path)
    config = NetConfig(width=1 / 16, init=str(path), fusion_init_scale=0.5)
    frame, _ = inputs()
    expected = build("spatial", SMALL, seed=4)(frame, frame)
    # Equal inputs: the maximum, or the mean, of two equal streams is the stream.
    assert torch.allclose(build(arch, config)(frame, frame), expected, atol=1e-5)


def test_weights_that_do_not_fit_are_listed_layer_by_layer(tmp_path):
    state = build("spatial", SMALL).state_dict()
    del state["tail.conv5.bias"]
    state["head.conv1.weight"] = torch.zeros(6, 3, 5, 5)
    state["extra.weight"] = torch.zeros(1)
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(DataError) as caught:
        build("spatial", NetConfig(width=1 / 16, init=str(tmp_path / "w.safetensors")))
    for part in (
        "head.conv1.weight is 6x3x5x5, the net has 6x3x7x7",
        "tail.conv5.bias is missing",
        "extra.weight is not in the net",
    ):
        assert part in str(caught.value)


def test_missing_weights_file():
    with pytest.raises(DataError, match=r"nowhere\.safetensors"):
        build("spatial", NetConfig(init="nowhere.safetensors"))


@pytest.mark.parametrize("arch", REGISTRY)
def test_model_file_rebuilds_its_net(tmp_path, arch):
    net = build(arch, SMALL, seed=2).to(memory_format=torch.channels_last)
    meta = {
        "arch": arch,
        "net": {**SMALL.model_dump(), "init": "gone.safetensors"},
        "size": [48, 32],
        "note": "é",
    }
    save_model(tmp_path / "model.safetensors", net, meta)
    again, found = load_model(tmp_path / "model.safetensors")
    assert found == meta
    assert not again.training
    assert [p.requires_grad for p in again.parameters()] == [p.requires_grad for p in net.parameters()]
    assert all(p.device.type == "cpu" for p in again.parameters())
    assert torch.allclose(again(*inputs()), net.eval()(*inputs()), atol=1e-5)
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


def test_damaged_and_foreign_model_files(tmp_path):
    path = tmp_path / "model.safetensors"
    save_model(path, build("spatial", SMALL), {"arch": "spatial", "net": SMALL.model_dump()})
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="cannot be read"):
        load_model(path)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(DataError, match="no model of this package"):
        load_model(path)
    with pytest.raises(ValueError, match="arch"):
        save_model(path, build("spatial", SMALL), {"net": {}})
