"""Optimisers, and the learning rate as a pure function of the step."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn

from dynsal.config_train import OptimiserConfig


def learning_rate(step: int, config: OptimiserConfig) -> float:
    """Return the rate of a step (0-based).

    ``step``: base_lr * gamma^floor(step / lr_step_iters), Caffe's policy. ``cosine``: half a cosine from base_lr at
    the end of the warm-up to 0 at max_iters. The warm-up multiplies by (step + 1) / warmup_iters.
    """
    rate = config.base_lr
    if config.schedule == "step":
        rate *= config.lr_gamma ** (step // config.lr_step_iters)
    elif config.schedule == "cosine":
        span = max(1, config.max_iters - config.warmup_iters)
        rate *= 0.5 * (1 + math.cos(math.pi * min(1.0, max(0, step - config.warmup_iters) / span)))
    return rate * min(1.0, (step + 1) / config.warmup_iters) if config.warmup_iters else rate


def make_optimizer(parameters: Iterable[nn.Parameter], config: OptimiserConfig) -> torch.optim.Optimizer:
    """Return SGD with momentum or AdamW; the weight decay covers all parameters, as Caffe's does by default.

    A parameter with an attribute ``rate_factor`` learns at so many times the rate, like Caffe's ``lr_mult``.
    """
    by_factor: dict[float, list[nn.Parameter]] = {}
    for parameter in parameters:
        by_factor.setdefault(getattr(parameter, "rate_factor", 1.0), []).append(parameter)
    groups = [{"params": members, "rate_factor": factor} for factor, members in by_factor.items()]
    if config.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=config.base_lr, weight_decay=config.weight_decay, fused=True)
    return torch.optim.SGD(
        groups, lr=config.base_lr, momentum=config.momentum, weight_decay=config.weight_decay, fused=True
    )


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate: all parameters the same but for their factors."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("rate_factor", 1.0)  # older checkpoints have none
