"""The light net: its cost beside the paper's, where its cells lie, and what each of its parts does."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dynsal.config import LiteConfig, NetConfig
from dynsal.nets import backbone, build
from dynsal.nets.coding import decode
from dynsal.nets.lite import CentrePrior, Lite, Motion, enlarged
from dynsal.nets.weights import load_model, save_model

RANDOM = NetConfig(coding="log_density", lite=LiteConfig(backbone="random"))


def lite(**parts) -> NetConfig:
    return NetConfig(coding="log_density", lite=LiteConfig(**parts))


def on_meta(arch: str, **keys) -> nn.Module:
    with torch.device("meta"):
        return build(arch, NetConfig(**keys))


def inputs(height: int = 64, width: int = 96, n: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    noise = torch.Generator().manual_seed(0)
    return (torch.rand(2, n, 3, height, width, generator=noise) * 2 - 1).unbind()


def macs(net: nn.Module, height: int, width: int) -> int:
    """Multiply-accumulates of all convolutions."""
    found = []
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(
                lambda conv, _i, out: found.append(conv.weight[0].numel() * out.numel())
            )
    image = torch.empty(1, 3, height, width, device="meta")
    net(image, image)
    return sum(found)


def test_parameters():
    counts = {
        name: sum(p.numel() for p in part.parameters()) for name, part in on_meta("lite").named_children()
    }
    laterals = sum(c * 64 + 64 + 128 for c in (40, 112, 320))
    motion = (27 * 24 + 24) + 2 * (9 * 24 * 24 + 24) + (24 * 64 + 64)
    head = 2 * ((25 * 64 + 64) + (64 * 64 + 64)) + 65
    assert counts == {
        "backbone": 2_919_392,
        "laterals": laterals,
        "motion": motion,
        "head": head,
        "prior": 4,
    }
    assert sum(counts.values()) == 2_974_581 < 6_000_000


def test_multiplications_are_a_small_part_of_the_papers():
    found = macs(on_meta("lite"), 480, 640)
    features = macs(_Alone(), 480, 640)
    cells = (60 * 80, 30 * 40, 15 * 20)
    laterals = sum(c * 64 * count for c, count in zip((40, 112, 320), cells, strict=True))
    motion = (27 * 24 + 2 * 9 * 24 * 24 + 24 * 64) * cells[0]
    head = (2 * (25 * 64 + 64 * 64) + 64) * cells[0]
    assert found == features + laterals + motion + head
    assert found / 1e9 == pytest.approx(2.370, abs=0.001)
    assert 10 * found <= macs(on_meta("early"), 480, 640)


class _Alone(nn.Module):
    """The backbone as a net of two inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = on_meta("lite").backbone

    def forward(self, frame, _flow):
        return self.backbone(frame)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 20), st.integers(1, 20), st.sampled_from([2, 8]))
def test_cells_of_a_coarse_scale_lie_on_those_of_the_finer(height, width, factor):
    coarse = torch.rand(1, 2, height, width)
    fine = enlarged(coarse, factor, (factor * height, factor * width))
    assert fine.shape == (1, 2, factor * height, factor * width)
    torch.testing.assert_close(fine[..., factor - 1 :: factor, factor - 1 :: factor], coarse)
    cut = enlarged(coarse, factor, (factor * height - factor // 2, factor * width))
    assert torch.equal(cut, fine[..., : factor * height - factor // 2, :])


def test_a_straight_line_stays_straight():
    """Between cells the enlargement is linear, so pixels get what their distance to the cells says."""
    line = torch.arange(6.0)[None, None, None].expand(1, 1, 3, 6)
    expected = (torch.arange(48) - 7) / 8  # cell i over pixel 8 i + 7
    found = enlarged(line, 8, (24, 48))[0, 0, 5]
    torch.testing.assert_close(found[7:], expected[7:])
    assert torch.equal(found[:7], torch.zeros(7))


def test_motion_cells_lie_where_the_backbones_do():
    """What moves at a cell's middle, pixel 8 i + 7, changes that cell, and the same at both sides of it alike."""
    torch.manual_seed(0)
    pool, down = Motion(8).pool, Motion(8).down
    nn.init.ones_(down[1].weight)

    def answer(x: int) -> torch.Tensor:
        flow = torch.zeros(1, 3, 64, 64)
        flow[..., 31, x] = 1
        return down(pool(flow))[0, 0, 3].detach()

    assert int(answer(31).argmax()) == 3
    for off in (1, 3, 5):
        assert float(answer(31 - off)[3]) == pytest.approx(float(answer(31 + off)[3]))
        assert float(answer(31 - off)[2]) == pytest.approx(float(answer(31 + off)[4]))


def test_backbone_cells_lie_where_it_is_said():
    """The gradient of one deep cell falls around pixel 32 i + 31, as far as padding at the border lets it."""
    net = backbone.Backbone(pretrained=True, trainable=True).eval()
    noise = torch.Generator().manual_seed(0)
    total = torch.zeros(320)
    for _ in range(4):
        image = (255 * torch.rand(1, 3, 320, 320, generator=noise)).requires_grad_()
        net(image)[3][0, :, 4, 4].square().sum().backward()
        total += image.grad[0].abs().sum((0, 1))
    middle = float((total * torch.arange(320)).sum() / total.sum())
    assert middle == pytest.approx(32 * 4 + 31, abs=6)


@pytest.mark.parametrize("sides", [(4, 4), (8, 12), (96, 160), (60, 84), (68, 100)])
def test_every_multiple_of_four_comes_back(sides):
    net = build("lite", RANDOM).eval()
    assert net(*inputs(*sides)).shape == (1, 1, *sides)


def test_zoom_is_the_net_on_an_enlarged_picture():
    """Logits of the enlarged frame and flow, averaged over what one pixel became; four times the multiplications."""
    once, twice = (build("lite", lite(backbone="random", zoom=zoom, prior=False)).eval() for zoom in (1, 2))
    once.load_state_dict(twice.state_dict())
    frame, flow = inputs(36, 52)
    large = [torch.nn.functional.interpolate(x, scale_factor=2, mode="bilinear") for x in (frame, flow)]
    expected = once(*large).unflatten(3, (52, 2)).unflatten(2, (36, 2)).mean((3, 5))
    torch.testing.assert_close(twice(frame, flow), expected, rtol=1e-4, atol=1e-4)
    wide = on_meta("lite", lite=LiteConfig(zoom=2))
    assert macs(wide, 480, 640) == 4 * macs(on_meta("lite"), 480, 640)
    assert 10 * macs(wide, 480, 640) <= macs(on_meta("early"), 480, 640)


def test_the_prior_is_a_gaussian_of_the_unit_frame():
    prior = CentrePrior()
    with torch.no_grad():
        prior.middle.copy_(torch.tensor([0.5, 0.25]))
        prior.log_width.copy_(torch.tensor([0.2, 0.1]).log())
        p = decode(prior((120, 200)), "log_density")[0, 0]
    y, x = p.sum(1), p.sum(0)
    rows, columns = (torch.arange(120) + 0.5) / 120, (torch.arange(200) + 0.5) / 200
    assert float((rows * y).sum()) == pytest.approx(0.5, abs=1e-4)
    assert float((columns * x).sum()) == pytest.approx(0.25, abs=2e-3)
    assert float(((rows - 0.5).square() * y).sum().sqrt()) == pytest.approx(0.2, abs=0.02)
    small = decode(prior((60, 100)), "log_density")[0, 0]
    halved = p.view(60, 2, 100, 2).sum((1, 3))
    torch.testing.assert_close(small, halved.detach(), rtol=0.05, atol=1e-5)


def test_parts_can_be_left_out():
    frame, flow = inputs()
    still = build("lite", lite(backbone="random", motion=False)).eval()
    assert torch.equal(still(frame, flow), still(frame, flow.flip(-1)))
    with_prior, without = (
        build("lite", lite(backbone="random", prior=kept)).eval() for kept in (True, False)
    )
    without.load_state_dict(
        {name: value for name, value in with_prior.state_dict().items() if not name.startswith("prior.")}
    )
    difference = with_prior(frame, flow) - without(frame, flow)
    torch.testing.assert_close(difference, with_prior.prior((64, 96)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["frozen", "tuned", "random"])
def test_what_is_trained(kind):
    net = build("lite", lite(backbone=kind))
    net(*inputs()).square().mean().backward()
    touched = {name for name, p in net.named_parameters() if p.grad is not None}
    expected = {name for name, _ in net.named_parameters()}
    if kind == "frozen":
        expected = {name for name in expected if not name.startswith("backbone.")}
    assert touched == expected
    published = backbone.Backbone().state_dict()["stem.1.weight"]
    assert torch.equal(net.state_dict()["backbone.stem.1.weight"], published) is (kind != "random")


def test_only_a_tuned_backbone_learns_at_its_own_rate():
    for kind, factor in (("frozen", None), ("tuned", 0.25), ("random", None)):
        net = build("lite", lite(backbone=kind, backbone_rate=0.25))
        found = {name: getattr(p, "rate_factor", None) for name, p in net.named_parameters()}
        assert {value for name, value in found.items() if name.startswith("backbone.")} == {factor}
        assert {value for name, value in found.items() if not name.startswith("backbone.")} == {None}


def test_same_seed_same_net():
    first, again, other = (build("lite", RANDOM, seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["head.0.mix.weight"], other["head.0.mix.weight"])


def test_a_stored_net_needs_no_published_weights(tmp_path, monkeypatch):
    """The file has all weights; the package of ImageNet's is not even looked for."""
    net = build("lite", lite()).eval()
    meta = {"arch": "lite", "net": lite().model_dump(mode="json")}
    save_model(tmp_path / "m.safetensors", net, meta)

    def missing():
        raise AssertionError("looked for")

    monkeypatch.setattr(backbone, "weights_file", missing)
    again, found = load_model(tmp_path / "m.safetensors")
    assert found == meta
    assert torch.equal(again(*inputs()), net(*inputs()))
    assert isinstance(again, Lite)
    assert not any(p.requires_grad for p in again.backbone.parameters())
