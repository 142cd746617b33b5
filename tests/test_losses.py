"""The losses against plain numpy, and their equivalence to Caffe's."""

import numpy as np
import pytest
import torch

from dynsal.config import FlowConfig, NetConfig, TrainConfig
from dynsal.losses import cc, euclidean, kld, loss_function, mirrored, nss, saliency_objective

N, H, W = 3, 6, 8
LOGS = NetConfig(coding="log_density")


def batch(seed: int = 0) -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(seed)
    density = rng.random((N, 1, H, W)) ** 4
    density[0, 0, 0, :3] = 0
    density /= density.sum((2, 3), keepdims=True)
    return {
        "density": torch.from_numpy(density).float(),
        "fixations": torch.from_numpy(rng.poisson(0.3, (N, 1, H, W)).astype(np.uint8)),
    }


def output(seed: int = 1) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(N, 1, H, W))).float()


def maps(tensor: torch.Tensor) -> np.ndarray:
    return tensor.double().numpy()[:, 0]


def softmax(logits: np.ndarray) -> np.ndarray:
    e = np.exp(logits)
    return e / e.sum((1, 2), keepdims=True)


def by_hand(out: torch.Tensor, data: dict[str, torch.Tensor]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    p, q, counts = softmax(maps(out)), maps(data["density"]), maps(data["fixations"])
    with np.errstate(divide="ignore", invalid="ignore"):
        divergence = np.where(q > 0, q * np.log(q / p), 0).sum((1, 2))
    correlation = np.array([np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(p, q, strict=True)])
    z = (p - p.mean((1, 2), keepdims=True)) / p.std((1, 2), keepdims=True)
    return divergence, correlation, (z * counts).sum((1, 2)) / counts.sum((1, 2))


def test_euclidean_by_hand():
    data, out = batch(), output()
    q = maps(data["density"])
    target = (255 * q / q.max((1, 2), keepdims=True) - 31) * 2 / 255
    error = (maps(out) - target) ** 2
    assert euclidean(out, data["density"], "sum").item() == pytest.approx(0.5 * error.sum() / N, rel=1e-5)
    assert euclidean(out, data["density"], "mean").item() == pytest.approx(error.mean(), rel=1e-5)


def test_kld_cc_nss_by_hand():
    data, out = batch(), output()
    divergence, correlation, standardised = by_hand(out, data)
    assert kld(out, data["density"]).item() == pytest.approx(divergence.mean(), rel=1e-5)
    assert cc(out, data["density"]).tolist() == pytest.approx(correlation, rel=1e-4)
    assert nss(out, data["fixations"]).tolist() == pytest.approx(standardised, rel=1e-4)
    loss = loss_function(TrainConfig(loss="kld_cc_nss", cc_weight=0.3, nss_weight=0.7), LOGS)(out, data)
    expected = divergence.mean() + 0.3 * (1 - correlation.mean()) - 0.7 * standardised.mean()
    assert loss.item() == pytest.approx(expected, rel=1e-4)


def test_kld_is_zero_for_the_density_itself_and_ignores_its_scale():
    density = batch()["density"]
    logits = density.clamp_min(1e-30).log()
    assert kld(logits, density).item() == pytest.approx(0, abs=1e-6)
    assert kld(output(), 5 * density).item() == pytest.approx(kld(output(), density).item(), rel=1e-6)


def test_loss_function_picks_what_the_configuration_says():
    data, out = batch(), output()
    assert torch.equal(
        loss_function(TrainConfig(), NetConfig())(out, data), euclidean(out, data["density"], "sum")
    )
    mean = TrainConfig(loss_reduction="mean")
    assert torch.equal(loss_function(mean, NetConfig())(out, data), euclidean(out, data["density"], "mean"))
    assert torch.equal(loss_function(TrainConfig(loss="kld"), LOGS)(out, data), kld(out, data["density"]))


@pytest.mark.parametrize(("loss", "coding"), [("kld", "salnet"), ("euclidean", "log_density")])
def test_loss_and_coding_must_match(loss, coding):
    with pytest.raises(ValueError, match="does not go with"):
        loss_function(TrainConfig(loss=loss), NetConfig(coding=coding))


def test_sum_and_mean_losses_descend_alike_with_the_equivalent_rates():
    """lr_mean = lr_sum * H * W / 2 and decay_mean = decay_sum * 2 / (H * W), as for Caffe."""
    data, start = batch(), output()
    results = []
    for reduction, factor in (("sum", 1.0), ("mean", H * W / 2)):
        weights = start.clone().requires_grad_()
        optimizer = torch.optim.SGD([weights], lr=1e-3 * factor, momentum=0.9, weight_decay=5e-2 / factor)
        for _ in range(5):
            optimizer.zero_grad()
            euclidean(weights, data["density"], reduction).backward()
            optimizer.step()
        results.append(weights.detach())
    assert torch.allclose(*results, atol=1e-6)
    assert not torch.allclose(results[0], start, atol=1e-3)


def test_sum_loss_weighs_a_large_map_by_its_pixels_and_mean_loss_does_not():
    small = torch.ones(1, 1, 4, 4)
    large = torch.ones(1, 1, 16, 16)
    for reduction, ratio in (("sum", 16), ("mean", 1)):
        a, b = (euclidean(torch.zeros_like(m), m, reduction).item() for m in (small, large))
        assert b / a == pytest.approx(ratio)


def test_gradients_are_finite_for_constant_outputs_and_frames_without_fixations():
    data = batch()
    data["fixations"].zero_()
    out = torch.zeros(N, 1, H, W, requires_grad=True)
    loss_function(TrainConfig(loss="kld_cc_nss"), LOGS)(out, data).backward()
    assert torch.isfinite(out.grad).all()
    assert nss(output(), data["fixations"]).tolist() == [0, 0, 0]


def test_losses_take_half_precision_outputs():
    data, out = batch(), output()
    exact = kld(out, data["density"]).item()
    assert kld(out.bfloat16(), data["density"]).item() == pytest.approx(exact, rel=2e-2)


def test_a_mirror_changes_sides_and_the_direction_of_motion():
    data = {**batch(), "flow": torch.randn(N, 2, H, W)}
    seen = mirrored(data)
    assert torch.equal(seen["flow"][:, 0], -data["flow"][:, 0].flip(-1))
    assert torch.equal(seen["flow"][:, 1], data["flow"][:, 1].flip(-1))
    assert torch.equal(seen["fixations"], data["fixations"].flip(-1))
    assert all(torch.equal(value, data[name]) for name, value in mirrored(seen).items())


def test_batches_are_mirrored_in_training_only_and_half_of_the_time():
    class Left(torch.nn.Module):
        """Says that people look left."""

        def forward(self, _frame, flow):
            return torch.linspace(3, 0, W).expand(len(flow), 1, H, W)

    left = torch.linspace(1, 0, W).expand(N, 1, H, W)
    data = {"density": left / left[0].sum(), "flow": torch.zeros(N, 2, H, W)}
    net, torch_state = Left(), torch.get_rng_state()
    for flip in (False, True):
        objective = saliency_objective(TrainConfig(loss="kld", flip=flip), LOGS, FlowConfig())
        torch.manual_seed(0)
        losses = [float(objective(net.train(), data)) for _ in range(100)]
        wrong = sum(loss > 1 for loss in losses)
        assert (35 < wrong < 65) if flip else wrong == 0
        assert all(float(objective(net.eval(), data)) < 1 for _ in range(10))
    torch.set_rng_state(torch_state)
