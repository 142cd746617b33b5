"""The static flow nets: sizes and parameters by hand, the odd order of outputs, initial weights, published ones."""

from __future__ import annotations

import caffe_files
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from dynsal.config_transfer import StaticFlowConfig
from dynsal.errors import DataError
from dynsal.nets.static_flow import MEAN_BGR, Walker, build_static_flow
from dynsal.nets.walker_weights import load_walker

NARROW = 1 / 16
SHAPES = {
    "conv1": (96, 3, 11, 11), "conv2": (256, 48, 5, 5), "conv3": (384, 256, 3, 3), "conv4": (384, 192, 3, 3),
    "conv5": (256, 192, 3, 3), "fc6": (4096, 256 * 6 * 6), "fc7": (4096, 4096), "fc8": (16000, 4096),
}  # fmt: skip
"""Weights of the authors' net: AlexNet's but for 6 x 6 cells at the end (also AlexNet's) and 16000 outputs."""


def net(variant: str = "walker", width: float = NARROW, seed: int = 0) -> nn.Module:
    return build_static_flow(StaticFlowConfig(variant=variant, width=width), seed).eval()


def test_mean_is_the_authors():
    assert MEAN_BGR == (89.0, 97.0, 101.0)


def test_walkers_net_at_full_width_has_the_layers_of_its_prototxt():
    with torch.device("meta"):
        full = Walker(1.0)
    assert {
        name: tuple(layer.weight.shape) for name, layer in full.named_children() if name in SHAPES
    } == SHAPES
    by_hand = sum(np.prod(shape) + shape[0] for shape in SHAPES.values())
    # conv 34,944 + 307,456 + 885,120 + 663,936 + 442,624; fc 37,752,832 + 16,781,312 + 65,552,000
    assert sum(p.numel() for p in full.parameters()) == by_hand == 122_420_224
    assert (full.conv1.stride, full.conv1.padding) == ((4, 4), (0, 0))
    assert [full.get_submodule(f"conv{k}").groups for k in range(1, 6)] == [1, 2, 1, 2, 2]
    assert [full.get_submodule(f"conv{k}").padding[0] for k in range(2, 6)] == [2, 1, 1, 1]
    assert full.drop.p == 0.5


def test_sides_after_the_first_layer_and_the_three_pools():
    """(200 - 11) / 4 + 1 = 48; ceil((48 - 3) / 2) + 1 = 24; then 12 and 6, since Caffe's pools round up."""
    sides = []
    walker = net()
    walker.conv1.register_forward_hook(lambda *call: sides.append(call[2].shape[-2:]))
    walker.pool.register_forward_hook(lambda *call: sides.append(call[2].shape[-2:]))
    with torch.inference_mode():
        walker(torch.zeros(1, 3, 200, 200))
    assert [tuple(side) for side in sides] == [(48, 48), (24, 24), (12, 12), (6, 6)]


@pytest.mark.parametrize("width", [NARROW, 0.1, 0.25])
@pytest.mark.parametrize("variant", ["walker", "small"])
def test_output_is_40_words_of_20_rows_and_20_columns(variant, width):
    with torch.inference_mode():
        assert net(variant, width)(torch.randn(2, 3, 200, 200)).shape == (2, 40, 20, 20)


def test_output_number_is_column_times_20_plus_row_times_40_plus_word():
    """Only one of the 16000 outputs has a bias: it must appear at its word, row and column."""
    walker = net()
    nn.init.zeros_(walker.fc8.weight)
    for word, row, column in [(0, 0, 0), (39, 19, 19), (7, 3, 11), (38, 0, 1), (1, 19, 0)]:
        nn.init.zeros_(walker.fc8.bias)
        with torch.no_grad():
            walker.fc8.bias[(column * 20 + row) * 40 + word] = 1
            found = walker(torch.zeros(1, 3, 200, 200))
        assert found.nonzero().tolist() == [[0, word, row, column]]


def reference(image: torch.Tensor, arrays: dict[str, list[torch.Tensor]]) -> torch.Tensor:
    """Compute the authors' net with torch's plain functions; 16000 outputs in the file's order."""

    def norm_pool(x: torch.Tensor) -> torch.Tensor:
        return functional.max_pool2d(
            functional.local_response_norm(x, 5, 1e-4, 0.75, 1.0), 3, 2, ceil_mode=True
        )

    x = norm_pool(functional.relu(functional.conv2d(image, *arrays["conv1"], stride=4)))
    x = norm_pool(functional.relu(functional.conv2d(x, *arrays["conv2"], padding=2, groups=2)))
    x = functional.relu(functional.conv2d(x, *arrays["conv3"], padding=1))
    x = functional.relu(functional.conv2d(x, *arrays["conv4"], padding=1, groups=2))
    x = functional.relu(functional.conv2d(x, *arrays["conv5"], padding=1, groups=2))
    x = functional.max_pool2d(x, 3, 2, ceil_mode=True).flatten(1)
    x = functional.relu(functional.linear(x, *arrays["fc6"]))
    x = functional.relu(functional.linear(x, *arrays["fc7"]))
    return functional.linear(x, *arrays["fc8"])


def arrays_of(walker: nn.Module, seed: int = 0) -> dict[str, list[np.ndarray]]:
    """Return weights and biases for every layer whose activations keep their scale."""
    rng = np.random.default_rng(seed)
    return {
        name: [
            rng.normal(0, np.sqrt(2 / layer.weight[0].numel()), layer.weight.shape).astype(np.float32),
            rng.uniform(-0.1, 0.1, layer.bias.shape).astype(np.float32),
        ]
        for name, layer in walker.named_children()
        if name in SHAPES
    }


@pytest.mark.parametrize("generation", caffe_files.GENERATIONS)
def test_published_weights_compute_what_caffe_would(tmp_path, generation):
    """Old forms of the file give every array four sides."""
    walker = net()
    arrays = arrays_of(walker)
    path = tmp_path / "final.caffemodel"
    path.write_bytes(caffe_files.net(arrays, generation))
    load_walker(walker, path)
    image = torch.randn(2, 3, 200, 200, generator=torch.Generator().manual_seed(1)) * 60
    tensors = {name: [torch.from_numpy(array) for array in each] for name, each in arrays.items()}
    with torch.inference_mode():
        found, flat = walker(image), reference(image, tensors)
    expected = flat.view(2, 20, 20, 40)  # column, row, word
    for word, row, column in [(0, 0, 0), (5, 2, 17), (39, 19, 4)]:
        torch.testing.assert_close(
            found[:, word, row, column], expected[:, column, row, word], rtol=1e-3, atol=1e-3
        )
    assert float(found.std()) > 0.1


def test_the_last_layer_may_have_another_name(tmp_path):
    walker = net()
    arrays = arrays_of(walker)
    arrays["fc8_flow"] = arrays.pop("fc8")
    (tmp_path / "final.caffemodel").write_bytes(caffe_files.net(arrays))
    load_walker(walker, tmp_path / "final.caffemodel")
    np.testing.assert_array_equal(walker.fc8.weight.detach(), arrays["fc8_flow"][0])


def test_all_misfits_of_a_file_are_listed_and_the_net_stays_as_it_was(tmp_path):
    walker = net()
    before = {name: value.clone() for name, value in walker.state_dict().items()}
    arrays = arrays_of(walker)
    del arrays["conv3"]
    arrays["fc7"][0] = arrays["fc7"][0][:, :-1]
    arrays["conv5"][1] = np.full_like(arrays["conv5"][1], np.nan)
    arrays["fc6"].pop()
    (tmp_path / "final.caffemodel").write_bytes(caffe_files.net(arrays))
    with pytest.raises(DataError) as refused:
        load_walker(walker, tmp_path / "final.caffemodel")
    for expected in (
        "conv3 is missing",
        "fc7.weight is 256x255, not 256x256",
        "conv5.bias has values that are not finite",
        "fc6 has 1 arrays instead of 2",
    ):
        assert expected in str(refused.value)
    for name, value in walker.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_arrays_of_equal_size_and_other_order_are_refused(tmp_path):
    """A transposed matrix has as many numbers: taken over row by row it would be garbage."""
    walker = net()
    arrays = arrays_of(walker)
    arrays["fc8"][0] = np.ascontiguousarray(arrays["fc8"][0].T)
    (tmp_path / "final.caffemodel").write_bytes(caffe_files.net(arrays))
    with pytest.raises(DataError, match=r"fc8\.weight"):
        load_walker(walker, tmp_path / "final.caffemodel")


def test_weights_of_another_net_are_refused(tmp_path):
    (tmp_path / "other.caffemodel").write_bytes(caffe_files.net(caffe_files.salnet(layers=["conv9"])))
    with pytest.raises(DataError, match=r"other\.caffemodel: does not fit the static flow net: conv1"):
        load_walker(net(), tmp_path / "other.caffemodel")


def test_initial_weights_are_xaviers_and_biases_those_of_the_prototxt():
    """Caffe's Xavier: uniform within sqrt(3 / fan-in), whose variance is 1 / fan-in."""
    walker = net(width=0.25)
    for name, layer in walker.named_children():
        if name not in SHAPES:
            continue
        fan_in = layer.weight[0].numel()
        weight = layer.weight.detach().double()
        assert float(weight.abs().max()) <= (3 / fan_in) ** 0.5
        assert float(weight.var() * fan_in) == pytest.approx(1, abs=0.1)
        assert torch.all(layer.bias == (0.0 if name in ("conv1", "conv3", "fc8") else 0.1))


@pytest.mark.parametrize("variant", ["walker", "small", "pretrained"])
def test_a_new_net_is_a_function_of_its_seed_and_leaves_the_random_state_alone(variant):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, again, other = net(variant), net(variant), net(variant, seed=1)
    torch.testing.assert_close(torch.rand(3), expected, rtol=0, atol=0)
    same = [torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True)]
    differs = [not torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters(), strict=True)]
    assert all(same)
    assert any(differs)


def test_the_small_net_sees_the_whole_picture_from_every_cell():
    """Its gradient reaches from a corner's cell to the opposite corner."""
    small = net("small", 0.25)
    image = torch.randn(1, 3, 200, 200, requires_grad=True)
    small(image)[0, :, 0, 0].sum().backward()
    assert float(image.grad[0, :, 190:, 190:].abs().max()) > 0


def test_the_pretrained_net_is_its_head_on_features_of_the_image_itself():
    """Three scales on one grid of 20 x 20; the mean that other nets want subtracted is given back to the backbone."""
    made = net("pretrained", 0.5)
    image = torch.randint(0, 256, (2, 3, 320, 320), generator=torch.Generator().manual_seed(0)).float()
    with torch.inference_mode():
        seen = image - torch.tensor(MEAN_BGR)[:, None, None]
        features = made.features(seen)
        _, fine, middle, deep = made.backbone(image)
        answer = made(seen)
        torch.testing.assert_close(answer, made.head(features), rtol=0, atol=0)
        torch.testing.assert_close(made(features), answer, rtol=0, atol=0)
    assert answer.shape == (2, 40, 20, 20)
    assert features.shape == (2, 40 + 112 + 320, 20, 20)
    torch.testing.assert_close(features[:, 40:152], middle, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(
        features[:, :40, 3, 7], fine[:, :, 6:8, 14:16].mean((2, 3)), rtol=1e-3, atol=1e-3
    )
    torch.testing.assert_close(
        features[:, 152:].mean((2, 3)), deep.mean((2, 3)), rtol=0.1, atol=0.1 * float(deep.std())
    )


def test_of_the_pretrained_net_the_head_alone_is_trained():
    made = build_static_flow(StaticFlowConfig(variant="pretrained", width=0.25))
    wanted = {name: value.numel() for name, value in made.named_parameters() if value.requires_grad}
    assert {name.split(".")[0] for name in wanted} == {"head"}
    assert sum(wanted.values()) == 472 * 32 + 32 + 32 * 40 + 40


@pytest.mark.parametrize(
    "variant",
    [
        pytest.param("walker", marks=pytest.mark.slow),
        "small",
        pytest.param("pretrained", marks=pytest.mark.slow),
    ],
)
def test_every_net_can_learn(variant):
    """Forty steps on four images with their own words take the loss to less than a fifth."""
    torch.manual_seed(0)
    learner = build_static_flow(StaticFlowConfig(variant=variant, width=0.125)).train()
    for module in learner.modules():
        if isinstance(module, (nn.Dropout, nn.Dropout2d)):
            module.p = 0.0
    images = torch.randn(4, 3, 1, 1).expand(4, 3, learner.side, learner.side) * 60
    words = torch.arange(4)[:, None, None].expand(4, 20, 20)
    optimizer = torch.optim.Adam(learner.parameters(), 3e-3)
    losses = []
    for _ in range(40):
        loss = functional.cross_entropy(learner(images), words)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] / 5
