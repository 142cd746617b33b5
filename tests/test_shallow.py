"""The shallow net against a second implementation on plain arrays, and its counts by hand."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage, signal
from torch import nn

from dynsal.config import NetConfig
from dynsal.nets import build
from dynsal.nets.coding import normalise_frame
from dynsal.nets.shallow import Shallow, smoothed, unit_rgb

SMALL = NetConfig(width=1 / 16)


def noisy(seed: int = 0) -> nn.Module:
    """Return a small net whose biases are not those of its start, in evaluation mode."""
    net = build("shallow", SMALL, seed)
    noise = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in net.parameters():
            value += 0.05 * torch.randn(value.shape, generator=noise)
    return net.eval()


def frames(n: int, height: int, width: int, seed: int = 0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.integers(0, 256, (n, 3, height, width), np.uint8))


def squeeze(side: int) -> np.ndarray:
    """Return the matrix from a side to 96 samples: triangles as wide as the scale, cut off at the border, of sum 1."""
    scale = side / 96
    distance = (np.arange(96) + 0.5)[:, None] * scale - (np.arange(side) + 0.5)
    weights = np.maximum(1 - abs(distance) / max(scale, 1), 0)
    return weights / weights.sum(axis=1, keepdims=True)


def literal(net: nn.Module, bgr: np.ndarray) -> np.ndarray:
    """Return the 48 x 48 map of one frame, H x W x 3 uint8, before any smoothing."""
    weight = {name: value.detach().double().numpy() for name, value in net.state_dict().items()}
    up, across = squeeze(bgr.shape[0]), squeeze(bgr.shape[1])
    x = np.stack([up @ (bgr[..., k] / 255) @ across.T for k in (2, 1, 0)])
    for name in ("conv1", "conv2", "conv3"):
        filters = zip(weight[f"{name}.weight"], weight[f"{name}.bias"], strict=True)
        x = np.stack([signal.correlate(x, kernel, "valid")[0] + bias for kernel, bias in filters])
        x = np.maximum(x, 0)
        x = np.maximum.reduce([x[:, i::2, j::2] for i in (0, 1) for j in (0, 1)])
    dense = np.maximum(weight["dense1.weight"] @ x.ravel() + weight["dense1.bias"], 0)
    pairs = np.array([max(dense[i], dense[i + 1]) for i in range(0, len(dense), 2)])
    return (weight["dense2.weight"] @ pairs + weight["dense2.bias"]).reshape(48, 48)


@pytest.mark.parametrize(("height", "width"), [(192, 256), (96, 96), (48, 64)])
def test_the_net_equals_its_definition(height, width):
    """Larger, as large and smaller than the net's own input; the last enlargement is OpenCV's bilinear one."""
    net = noisy()
    frame = frames(1, height, width)
    raw = literal(net, frame[0].permute(1, 2, 0).numpy())
    with torch.no_grad():
        predicted = net(normalise_frame(frame), torch.empty(0))[0, 0].numpy()
        trained = net.train()(normalise_frame(frame), torch.empty(0))[0, 0].numpy()
    for found, map48 in ((predicted, ndimage.gaussian_filter(raw, 3)), (trained, raw)):
        expected = cv2.resize(map48, (width, height), interpolation=cv2.INTER_LINEAR)
        np.testing.assert_allclose(found, expected, atol=1e-4 * np.ptp(raw))
    assert predicted.std() < 0.5 * trained.std()


def test_parameter_counts_at_the_papers_width():
    """96 - 4 = 92, pool 46; 46 - 2 = 44, pool 22; 22 - 2 = 20, pool 10."""
    with torch.device("meta"):
        net = build("shallow", NetConfig())
    assert {name: value.numel() for name, value in net.named_parameters()} == {
        "conv1.weight": 32 * 3 * 5 * 5,
        "conv1.bias": 32,
        "conv2.weight": 64 * 32 * 3 * 3,
        "conv2.bias": 64,
        "conv3.weight": 64 * 64 * 3 * 3,
        "conv3.bias": 64,
        "dense1.weight": 64 * 10 * 10 * 4608,
        "dense1.bias": 4608,
        "dense2.weight": 2304 * 2304,
        "dense2.bias": 2304,
    }
    assert sum(value.numel() for value in net.parameters()) == 34_864_384


@settings(max_examples=30, deadline=None)
@given(st.floats(1e-3, 2))
def test_width_scales_what_is_hidden_and_keeps_the_map(width):
    with torch.device("meta"):
        net = build("shallow", NetConfig(width=width))
    c1, c2, hidden = (max(1, math.floor(base * width + 0.5)) for base in (32, 64, 2304))
    assert net.conv1.weight.shape == (c1, 3, 5, 5)
    assert net.conv3.weight.shape == (c2, c2, 3, 3)
    assert net.dense1.weight.shape == (2 * hidden, 100 * c2)
    assert net.dense2.weight.shape == (2304, hidden)


def test_initial_weights_are_glorot_uniform_and_biases_zero():
    net = build("shallow", NetConfig(width=0.25))
    for name, layer in net.named_children():
        field = math.prod(layer.weight.shape[2:])
        bound = math.sqrt(6 / ((layer.weight.shape[0] + layer.weight.shape[1]) * field))
        assert layer.weight.abs().max() <= bound, name
        assert layer.weight.abs().max() > 0.98 * bound, name
        error = 4 / math.sqrt(layer.weight.numel())
        assert layer.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=error), name
        assert not layer.bias.any()


def test_the_scaling_of_frames_is_undone():
    frame = frames(2, 8, 12)
    expected = frame.flip(1).double() / 255
    assert torch.allclose(unit_rgb(normalise_frame(frame)).double(), expected, atol=1e-6)


def test_smoothing_is_scipys_gaussian():
    maps = torch.rand(2, 1, 48, 48, generator=torch.Generator().manual_seed(0))
    expected = np.stack([ndimage.gaussian_filter(one[0].double().numpy(), 3) for one in maps])[:, None]
    np.testing.assert_allclose(smoothed(maps).numpy(), expected, atol=1e-6)


def test_only_predictions_are_smoothed_and_nothing_but_that_depends_on_the_mode():
    net = noisy()
    with torch.no_grad():
        net.dense2.weight.zero_()
        net.dense2.bias.zero_()
        net.dense2.bias[24 * 48 + 24] = 1
        frame = normalise_frame(frames(1, 48, 48))
        trained, predicted = net.train()(frame, frame), net.eval()(frame, frame)
    assert torch.equal(trained[0, 0], net.dense2.bias.view(48, 48))
    # The peak of a discrete Gaussian of standard deviation 3 in two dimensions, about 1 / (18 pi).
    assert predicted.max().item() == pytest.approx(1 / (18 * math.pi), rel=1e-3)
    assert predicted.sum().item() == pytest.approx(1, rel=1e-5)


def test_every_layer_learns():
    net = build("shallow", SMALL).train()
    frame = normalise_frame(frames(4, 96, 128))
    net(frame, frame).square().mean().backward()
    assert all(value.grad is not None and value.grad.abs().max() > 0 for value in net.parameters())


def test_frames_of_a_batch_do_not_mix_and_memory_layout_means_nothing():
    net = noisy()
    frame = normalise_frame(frames(3, 100, 80))
    with torch.no_grad():
        together = net(frame.contiguous(memory_format=torch.channels_last), torch.empty(0))
        alone = torch.cat([net(one[None], torch.empty(0)) for one in frame])
    assert torch.allclose(together, alone, atol=1e-5)
    assert isinstance(net, Shallow)
