"""EfficientNet-Lite0: against an independent implementation, on real photographs, and as a part of other nets."""

from __future__ import annotations

import copy
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest
import sklearn.datasets
import torch
from torch import Tensor, nn

from dynsal.errors import DataError
from dynsal.nets import backbone
from dynsal.nets.backbone import CHANNELS, STRIDES, Backbone, FrozenNorm

oracle_package = pytest.importorskip("efficientnet_lite_pytorch")
LAST = (2, 4, 10, 15)
"""The oracle's blocks whose outputs are the four scales."""
PICTURES = {
    "china.jpg": 698,  # palace
    "flower.jpg": 985,  # daisy
    "grace_hopper.jpg": 652,  # military uniform
}
"""Photographs inside scikit-learn and matplotlib, with their class of ImageNet."""


@pytest.fixture(scope="module")
def pretrained() -> Backbone:
    return Backbone().eval()


@pytest.fixture(scope="module")
def oracle() -> nn.Module:
    """Return the other implementation, with padding that follows the size of the input."""
    net = oracle_package.EfficientNet.from_name("efficientnet-lite0", image_size=None)
    net.load_state_dict(torch.load(backbone.weights_file(), weights_only=True))
    return net.eval()


def oracle_features(
    oracle: nn.Module, image: Tensor, mean: float | Tensor = 127, scale: float | Tensor = 128
):
    """Return the four scales of a BGR image from the other implementation."""
    x = oracle._swish(oracle._bn0(oracle._conv_stem((image.flip(1).float() - mean) / scale)))
    found = []
    for number, block in enumerate(oracle._blocks):
        x = block(x)
        if number in LAST:
            found.append(x)
    return found


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def photograph(name: str) -> np.ndarray:
    """Return the middle square of a photograph, 224 x 224 x 3 BGR."""
    folders = (
        Path(sklearn.datasets.__file__).parent / "images",
        Path(matplotlib.get_data_path()) / "sample_data",
    )
    image = cv2.imread(str(next(folder / name for folder in folders if (folder / name).is_file())))
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return cv2.resize(image[top : top + side, left : left + side], (224, 224), interpolation=cv2.INTER_AREA)


def batch(name: str) -> Tensor:
    return torch.from_numpy(photograph(name).transpose(2, 0, 1).copy())[None]


@pytest.mark.parametrize(("height", "width"), [(224, 224), (32, 32), (96, 160)])
def test_features_are_the_other_implementations(pretrained, oracle, height, width):
    image = noise(2, 3, height, width)
    with torch.inference_mode():
        found, expected = pretrained(image), oracle_features(oracle, image)
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-4 * float(theirs.abs().max()))


@pytest.mark.parametrize("name", PICTURES)
def test_real_photographs_are_recognised_with_the_published_classifier(pretrained, oracle, name):
    """Channels in the wrong order, or another scaling, would still give features, but worse ones."""
    with torch.inference_mode():
        deep = oracle._swish(oracle._bn1(oracle._conv_head(pretrained(batch(name))[-1])))
        scores = oracle._fc(deep.mean((2, 3)))
    assert int(scores.argmax()) == PICTURES[name]


def test_the_scaling_is_the_one_the_weights_were_trained_with(oracle):
    """The statistics inside the weights fit real photographs scaled as here, and fit ImageNet's usual scaling worse."""
    images = torch.cat([batch(name) for name in PICTURES])
    usual = (torch.tensor([123.675, 116.28, 103.53]), torch.tensor([58.395, 57.12, 57.375]))
    norm = oracle._blocks[0]._bn2
    distances = []
    for mean, scale in ((127, 128), [part[:, None, None] for part in usual]):
        seen: list[Tensor] = []
        hook = norm.register_forward_hook(lambda _module, given, _out, seen=seen: seen.append(given[0]))
        with torch.inference_mode():
            oracle_features(oracle, images, mean, scale)
        hook.remove()
        off = (seen[0].mean((0, 2, 3)) - norm.running_mean) / norm.running_var.sqrt()
        distances.append(float(off.abs().mean()))
    assert distances[0] < 0.5 * distances[1]


@pytest.mark.parametrize(("height", "width"), [(224, 224), (120, 160), (97, 203), (33, 1)])
def test_every_size_gives_cells_rounded_up(pretrained, height, width):
    with torch.inference_mode():
        found = pretrained(noise(1, 3, height, width))
    for scale, stride, channels in zip(found, STRIDES, CHANNELS, strict=True):
        assert scale.shape == (1, channels, -(-height // stride), -(-width // stride))
        assert torch.isfinite(scale).all()


def test_cells_of_an_odd_size_lie_where_those_of_an_even_one_do(pretrained):
    """Cutting a column off the right border leaves the far left as it was."""
    image = noise(1, 3, 64, 512)
    with torch.inference_mode():
        whole, cut = pretrained(image)[1], pretrained(image[..., :-3])[1]
    torch.testing.assert_close(cut[..., :20], whole[..., :20], rtol=1e-4, atol=1e-3)


def test_number_of_parameters_is_that_of_the_published_table(oracle):
    """Convolutions without biases; normalisation holds no parameter."""
    expected = 3 * 32 * 9
    into = 32
    for blocks, kernel, expansion, out in [
        (1, 3, 1, 16), (2, 3, 6, 24), (2, 5, 6, 40), (3, 3, 6, 80), (3, 5, 6, 112), (4, 5, 6, 192), (1, 3, 6, 320),
    ]:  # fmt: skip
        for _ in range(blocks):
            wide = into * expansion
            expected += (into * wide if expansion > 1 else 0) + wide * kernel**2 + wide * out
            into = out
    assert sum(parameter.numel() for parameter in Backbone().parameters()) == expected == 2_919_392
    # The whole published net, its classifier and its normalisation, has 4.65 million.
    norms = sum(2 * norm.weight.numel() for norm in oracle.modules() if isinstance(norm, nn.BatchNorm2d))
    classifier = 320 * 1280 + 1281 * 1000
    assert (
        expected + norms + classifier
        == sum(parameter.numel() for parameter in oracle.parameters())
        == 4_652_008
    )


def test_normalisation_is_torchs_in_evaluation_mode_whatever_the_mode():
    reference = nn.BatchNorm2d(5, eps=FrozenNorm.EPS).eval()
    found = FrozenNorm(5).train()
    torch.manual_seed(0)
    for name, other in (
        ("weight", "weight"),
        ("bias", "bias"),
        ("mean", "running_mean"),
        ("var", "running_var"),
    ):
        value = torch.rand(5)
        getattr(found, name).copy_(value)
        getattr(reference, other).data.copy_(value)
    x = torch.randn(2, 5, 4, 3)
    torch.testing.assert_close(found(x), reference(x))
    assert list(found.parameters()) == []


def test_frozen_it_gives_no_gradient_and_trains_not_at_all(pretrained):
    net = copy.deepcopy(pretrained).train()
    image = noise(2, 3, 64, 64).float().requires_grad_()
    assert not any(scale.requires_grad for scale in net(image))
    assert not any(parameter.requires_grad for parameter in net.parameters())
    torch.testing.assert_close(net(image)[3], pretrained(image)[3], rtol=0, atol=0)


def test_trainable_all_convolutions_learn_and_no_buffer_moves():
    net = Backbone(trainable=True).train()
    before = {name: value.clone() for name, value in net.named_buffers()}
    sum(scale.square().mean() for scale in net(noise(2, 3, 64, 64))).backward()
    assert all(float(parameter.grad.abs().max()) > 0 for parameter in net.parameters())
    for name, value in net.named_buffers():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_an_image_is_seen_alike_alone_and_in_company(pretrained):
    images = noise(3, 3, 64, 96)
    with torch.inference_mode():
        for alone, together in zip(pretrained(images[1:2]), pretrained(images), strict=True):
            torch.testing.assert_close(alone[0], together[1], rtol=1e-3, atol=1e-3)


def test_random_weights_keep_the_scale_of_the_input_and_carry_information():
    torch.manual_seed(1)
    net = Backbone(pretrained=False).eval()
    first, second = (net(noise(1, 3, 64, 64, seed=seed))[3] for seed in (0, 1))
    assert 0.01 < float(first.std()) < 100
    assert float((first - second).abs().max()) > 0.01


def test_a_saved_state_rebuilds_the_net_without_the_package(pretrained):
    again = Backbone(pretrained=False).eval()
    again.load_state_dict(pretrained.state_dict())
    image = noise(1, 3, 64, 64)
    torch.testing.assert_close(again(image)[2], pretrained(image)[2], rtol=0, atol=0)


def test_an_altered_file_of_weights_is_refused(monkeypatch):
    monkeypatch.setattr(backbone, "WEIGHTS_SHA256", "0" * 64)
    with pytest.raises(DataError, match=r"efficientnet-lite0-57934424\.pth.*Reinstall"):
        Backbone()
