"""Inputs and targets: exact values, round trips, and the trap between SalNet's two scalings."""

import numpy as np
import pytest
import torch

from dynsal.config import NetConfig
from dynsal.nets import build
from dynsal.nets.coding import (
    FRAME_MEAN_BGR,
    apply,
    count_clipped,
    decode,
    encode,
    flow_image,
    log_density,
    normalise_frame,
)


def densities(n: int = 3, height: int = 48, width: int = 64) -> torch.Tensor:
    """Return maps of a few Gaussian blobs each, sum 1."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width]
    maps = np.zeros((n, height, width))
    for one in maps:
        for cx, cy in rng.uniform(8, 40, (4, 2)):
            one += np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * 4**2))
    maps /= maps.sum((1, 2), keepdims=True)
    return torch.from_numpy(maps[:, None]).float()


def chi2(p: torch.Tensor, q: torch.Tensor) -> float:
    p, q = p.double() / p.double().sum(), q.double() / q.double().sum()
    total = p + q
    return float(0.5 * ((p - q).square() / total)[total > 0].sum())


def test_salnet_target_has_the_documented_range():
    target = encode(densities(), "salnet")
    assert target.amax((1, 2, 3)).tolist() == pytest.approx([1.7569] * 3, abs=1e-4)
    assert target.min().item() == pytest.approx(-0.2431, abs=1e-4)


def test_salnet_round_trip_gives_the_density_back():
    density = densities()
    decoded = decode(encode(density, "salnet"), "salnet")
    assert decoded.amax((1, 2, 3)).tolist() == pytest.approx([255.0] * 3, rel=1e-6)
    again = decoded / decoded.sum((1, 2, 3), keepdim=True)
    assert torch.allclose(again, density, atol=1e-7)


def test_log_density_round_trip_gives_the_density_back():
    density = densities()
    logits = density.clamp_min(1e-30).log() + 12.3  # any constant
    assert torch.allclose(decode(logits, "log_density"), density, atol=1e-7)
    assert torch.allclose(encode(3 * density, "log_density"), density, atol=1e-7)
    assert torch.allclose(log_density(logits).exp().sum((1, 2, 3)), torch.ones(3))


def test_the_chi2_trap():
    """A perfect net scores chi2 = 0 with the inverse, and 0.62 with the authors' post-processing."""
    # 45 fixations, 30 % of them about the centre, blurred by one degree of DIEM at 320x240. The value depends on
    # how much of the frame is looked at: 0.37 if the fixations are spread twice as wide, 0.9 for a single one.
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.normal((100, 80), 10, (31, 2)), rng.normal((160, 120), 20, (14, 2))])
    y, x = np.mgrid[:240, :320]
    total = sum(np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * 12.5**2)) for cx, cy in points)
    density = torch.from_numpy(total / total.sum()).float()[None, None]
    perfect = encode(density, "salnet")
    assert chi2(decode(perfect, "salnet"), density) < 1e-7  # float32
    authors = (perfect * 128 + 127).clamp(0, 255)
    assert authors.min().item() == pytest.approx(96, abs=0.5)
    assert chi2(authors, density) == pytest.approx(0.62, abs=0.02)


def test_decoding_clips_at_zero_and_not_at_255():
    assert decode(torch.tensor([-1.0, 0.0, 2.0]).view(1, 1, 1, 3), "salnet").flatten().tolist() == [
        0,
        31,
        286,
    ]


def test_each_map_of_a_batch_is_coded_by_its_own_maximum():
    density = densities()
    assert torch.equal(encode(density, "salnet")[1:2], encode(density[1:2], "salnet"))


def test_an_empty_density_codes_as_an_empty_map():
    assert torch.allclose(encode(torch.zeros(1, 1, 2, 2), "salnet"), torch.tensor(-31 * 2 / 255))
    assert not encode(torch.zeros(1, 1, 2, 2), "log_density").any()


def test_frames_are_normalised_in_bgr():
    frame = torch.tensor([0, 110, 255], dtype=torch.uint8).view(1, 3, 1, 1)
    expected = [(value - mean) * 2 / 255 for value, mean in zip((0, 110, 255), FRAME_MEAN_BGR, strict=True)]
    out = normalise_frame(frame)
    assert out.dtype == torch.float32
    assert out.flatten().tolist() == pytest.approx(expected)
    assert FRAME_MEAN_BGR == (100, 110, 118)


def test_flow_image_is_u_v_magnitude_over_the_bound():
    uv = torch.tensor([[3.0, -16.0, 0.0], [-4.0, 16.0, -100.0]], dtype=torch.float16).view(1, 2, 1, 3)
    image = flow_image(uv, 20.0)[0, :, 0]
    assert image[:, 0].tolist() == pytest.approx([0.15, -0.2, 0.25])
    assert image[:, 1].tolist() == pytest.approx([-0.8, 0.8, 1.0])  # magnitude 22.6 clips
    assert image[:, 2].tolist() == [0, -1, 1]
    assert count_clipped(uv, 20.0) == 2
    assert count_clipped(uv, 100.0) == 0


def test_large_float16_flow_does_not_overflow():
    uv = torch.full((1, 2, 1, 1), 60_000.0, dtype=torch.float16)
    assert flow_image(uv, 1e6).flatten().tolist() == pytest.approx([0.06, 0.06, 0.0849], abs=1e-3)


@pytest.mark.parametrize(("arch", "needs"), [("spatial", "frame"), ("temporal", "flow")])
def test_apply_needs_only_what_the_net_looks_at(arch, needs):
    net = build(arch, NetConfig(width=1 / 16))
    batch = {
        "frame": torch.randint(0, 256, (1, 3, 16, 16), dtype=torch.uint8),
        "flow": torch.randn(1, 2, 16, 16).half(),
    }
    full = apply(net, batch, 20.0, channels_last=False)
    assert torch.equal(full, apply(net, {needs: batch[needs]}, 20.0, channels_last=False))
    assert torch.allclose(full, apply(net, batch, 20.0, channels_last=True), atol=1e-5)
