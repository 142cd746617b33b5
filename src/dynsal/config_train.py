"""Sections of the configuration that say how nets are trained; see `dynsal.config`."""

from __future__ import annotations

import operator
from typing import Annotated, Any, Literal

from pydantic import Field

from dynsal.config_sections import Count, Name, Positive, Section


class OptimiserConfig(Section):
    """What the training loop needs, whatever it trains."""

    optimizer: Literal["sgd", "adamw"] = Field("sgd", description="`sgd` (momentum) or `adamw`.")
    base_lr: Positive = Field(
        1.3e-7, description="Initial learning rate (SalNet's, for the summed loss; the paper gives none)."
    )
    momentum: Annotated[float, Field(ge=0, lt=1)] = Field(0.9, description="SGD momentum.")
    weight_decay: Annotated[float, Field(ge=0)] = Field(5.0e-4, description="Weight decay.")
    schedule: Literal["step", "cosine", "constant"] = Field("step", description="Learning-rate schedule.")
    lr_step_iters: Count = Field(10_000, description="`step`: iterations between reductions.")
    lr_gamma: Annotated[float, Field(gt=0, le=1)] = Field(
        0.1, description="`step`: factor of each reduction."
    )
    warmup_iters: Annotated[int, Field(ge=0)] = Field(0, description="Iterations of linear warm-up.")
    max_iters: Count = Field(200_000, description="Iterations in all.")
    batch_size: Count = Field(2, description="Frames per iteration; a batch never mixes resolutions.")
    accumulate: Count = Field(
        1,
        description="Passes per iteration: each computes batch_size / accumulate frames, so that large batches fit a GPU; the "
        "result is the same to rounding.",
    )
    grad_clip: Positive | None = Field(None, description="Clip the gradient's norm; `null` does not.")
    amp: bool = Field(False, description="bfloat16 mixed precision, on a GPU only.")
    channels_last: bool = Field(
        True, description="Memory layout of the activations; results agree to rounding."
    )
    checkpoint_every: Count = Field(1_000, description="Iterations between checkpoints.")
    validate_every: Count = Field(5_000, description="Iterations between validation losses.")
    validation_frames: Annotated[int, Field(ge=0)] = Field(
        512, description="Frames of the validation videos, evenly spaced, in each validation loss."
    )
    keep: Literal["last", "best"] = Field(
        "last",
        description="Weights kept: the last, or those of the lowest validation loss (needs validation videos).",
    )


class TrainConfig(OptimiserConfig):
    """Optimisation."""

    loss: Literal["euclidean", "kld", "kld_cc_nss"] = Field(
        "euclidean",
        description="`euclidean` needs coding `salnet`; `kld` and `kld_cc_nss` need coding `log_density`.",
    )
    loss_reduction: Literal["sum", "mean"] = Field(
        "sum",
        description="Euclidean loss: half the sum over pixels (Caffe, literal) or the mean over pixels.",
    )
    cc_weight: Annotated[float, Field(ge=0)] = Field(0.1, description="`kld_cc_nss`: weight of (1 - CC).")
    nss_weight: Annotated[float, Field(ge=0)] = Field(0.1, description="`kld_cc_nss`: weight of -NSS.")
    flip: bool = Field(
        False,
        exclude_if=operator.not_,
        description="Mirror half of the batches left to right, flow and gaze with them.",
    )


class ModelConfig(Section):
    """One row of Table 1."""

    arch: Literal["spatial", "temporal", "late", "early", "lite"] = Field(
        description="Architecture: those of the paper (section 3), or `lite`, our own (docs/lite.md)."
    )
    augment: list[Literal[1, 2, 4]] = Field(
        [1],
        description="Resolutions used in training: 1 is the working size, 2 and 4 the low-resolution copies.",
    )
    memory: Annotated[float, Field(ge=0)] = Field(
        0.0,
        exclude_if=operator.not_,
        description="Half-life in seconds of an exponential average over the maps of a video, from its start to each frame; "
        "0 treats every frame by itself.",
    )
    start: Name | None = Field(
        None,
        exclude_if=operator.not_,
        description="Weights to start from: a net of section `transfer.models`, as trained on the still images with the same "
        "seed; it must have the same arch, and not start from videos itself. `null`: as `net.init` says.",
    )
    net: dict[str, Any] = Field(
        {},
        exclude_if=operator.not_,
        description="Keys of section `net` in which this model differs.",
    )
    train: dict[str, Any] = Field(
        {},
        exclude_if=operator.not_,
        description="Keys of section `train` in which this model differs.",
    )
