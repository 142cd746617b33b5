"""Training losses on a net's output and a batch.

A batch is a dict of tensors: ``frame`` uint8 N x 3 x H x W (BGR), ``flow`` float16 N x 2 x H x W (u, v in pixels),
``density`` float32 N x 1 x H x W (sums to 1), ``fixations`` uint8 N x 1 x H x W (counts).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from dynsal.config import FlowConfig, NetConfig, TrainConfig
from dynsal.nets.coding import apply, encode, log_density

Batch = Mapping[str, Tensor]
Loss = Callable[[Tensor, Batch], Tensor]
Objective = Callable[[nn.Module, Batch], Tensor]
"""Loss of a net on a batch; what the training loop descends."""

_PIXELS = (1, 2, 3)
_TINY = 1e-8


def euclidean(output: Tensor, density: Tensor, reduction: str = "sum") -> Tensor:
    """Squared error against SalNet's target, averaged over the batch.

    ``sum`` is Caffe's EuclideanLoss, half the sum over pixels; ``mean`` is the mean over pixels. The same descent
    needs lr_mean = lr_sum * H * W / 2 and decay_mean = decay_sum * 2 / (H * W).
    """
    error = (output.float() - encode(density, "salnet")).square()
    return 0.5 * error.sum(_PIXELS).mean() if reduction == "sum" else error.mean()


def kld(output: Tensor, density: Tensor) -> Tensor:
    """Kullback-Leibler divergence of the density from softmax(output) in nats, averaged over the batch."""
    target = encode(density, "log_density")
    return (torch.xlogy(target, target) - target * log_density(output)).sum(_PIXELS).mean()


def cc(output: Tensor, density: Tensor) -> Tensor:
    """Pearson correlation of softmax(output) and the density per map, N values; 0 for a constant map."""
    p, q = _centred(log_density(output).exp()), _centred(density.float())
    return (p * q).mean(_PIXELS) / (_deviation(p) * _deviation(q)).flatten()


def nss(output: Tensor, fixations: Tensor) -> Tensor:
    """Mean of the standardised softmax(output) over the fixations per map, N values; 0 without fixations."""
    counts = fixations.float()
    p = _centred(log_density(output).exp())
    return (p / _deviation(p) * counts).sum(_PIXELS) / counts.sum(_PIXELS).clamp_min(1)


def loss_function(train_cfg: TrainConfig, net_cfg: NetConfig) -> Loss:
    """Return the configured loss as a function of (output, batch).

    Raises
    ------
    ValueError
        If the loss does not go with the coding of the output.
    """
    if (train_cfg.loss == "euclidean") != (net_cfg.coding == "salnet"):
        raise ValueError(f"loss {train_cfg.loss} does not go with coding {net_cfg.coding}")
    if train_cfg.loss == "euclidean":
        return lambda output, batch: euclidean(output, batch["density"], train_cfg.loss_reduction)
    if train_cfg.loss == "kld":
        return lambda output, batch: kld(output, batch["density"])

    def kld_cc_nss(output: Tensor, batch: Batch) -> Tensor:
        return (
            kld(output, batch["density"])
            + train_cfg.cc_weight * (1 - cc(output, batch["density"])).mean()
            - train_cfg.nss_weight * nss(output, batch["fixations"]).mean()
        )

    return kld_cc_nss


def saliency_objective(train_cfg: TrainConfig, net_cfg: NetConfig, flow_cfg: FlowConfig) -> Objective:
    """Return the objective of all saliency nets: the configured loss of their output for a batch."""
    loss = loss_function(train_cfg, net_cfg)

    def objective(net: nn.Module, batch: Batch) -> Tensor:
        if train_cfg.flip and net.training and bool(torch.rand(()) < 0.5):
            batch = mirrored(batch)
        output = apply(net, batch, flow_cfg.bound, train_cfg.channels_last)
        with torch.autocast(output.device.type, enabled=False):  # sums over pixels need all digits
            return loss(output, batch)

    return objective


def mirrored(batch: Batch) -> dict[str, Tensor]:
    """Return a batch seen in a mirror: left and right change places, and motion to the right becomes motion to the left."""
    flipped = {name: value.flip(-1) for name, value in batch.items()}
    if "flow" in flipped:
        flipped["flow"] = torch.cat([-flipped["flow"][:, :1], flipped["flow"][:, 1:]], dim=1)
    return flipped


def _centred(maps: Tensor) -> Tensor:
    """Return the maps times their number of pixels, minus the mean, so that the values are of order one."""
    maps = maps * maps[0].numel()
    return maps - maps.mean(_PIXELS, keepdim=True)


def _deviation(centred: Tensor) -> Tensor:
    """Return the standard deviation per map (ddof 0); the small term keeps the gradient of constant maps finite."""
    return (centred.square().mean(_PIXELS, keepdim=True) + _TINY).sqrt()
