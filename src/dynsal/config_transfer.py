"""Sections of the configuration behind Table 3: motion from still images, and transfer to them; see `dynsal.config`."""

from __future__ import annotations

import operator
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from dynsal.config_baselines import BaselineOptions, GbvsOptions, IttiOptions, RareStyleOptions
from dynsal.config_sections import Count, DatasetConfig, Name, Positive, Section
from dynsal.config_train import OptimiserConfig, TrainConfig


class StaticFlowTrainConfig(OptimiserConfig):
    """Optimisation of the static flow net, with the defaults of Walker et al.'s program."""

    base_lr: Positive = Field(
        1.0e-5, description="Initial learning rate, for the loss summed over the cells."
    )
    lr_step_iters: Count = Field(200_000, description="`step`: iterations between reductions.")
    max_iters: Count = Field(450_000, description="Iterations in all.")
    batch_size: Count = Field(100, description="Frames per iteration.")


class StaticFlowConfig(Section):
    """Motion predicted from a single image (Walker, Gupta, Hebert 2015), learnt from the training videos."""

    variant: Literal["walker", "small", "pretrained"] = Field(
        "walker",
        description="`walker`: their net, AlexNet with 16000 outputs; `small`: a convolutional one of ours with the same input, "
        "output and loss, for a few dozen videos and two cores; `pretrained`: a light net trained on ImageNet, frozen, and a "
        "small head on its features, for as few.",
    )
    width: Annotated[float, Field(gt=0, le=2)] = Field(
        1.0, description="Multiplies the channels of every hidden layer."
    )
    weights: Literal["train", "walker"] = Field(
        "train",
        description="`train`: learnt from the training videos; `walker`: the authors' published weights (UCF101), downloaded, "
        "which need width 1 and codebook walker.",
    )
    codebook: Literal["walker", "kmeans"] = Field(
        "walker",
        description="The 40 motions to choose from: the authors' (downloaded), or k-means on the training videos' motion.",
    )
    estimator: Literal["deepflow", "dis", "farneback"] = Field(
        "deepflow", description="Estimator of the flow that the labels are made of, at 320x240."
    )
    label_step: Count = Field(5, description="One label for every n-th frame.")
    temperature: Positive = Field(
        1.0,
        description="Divides the net's outputs before the softmax when motion is predicted; below 1 the likeliest motions count "
        "more. 1 is Walker et al.'s; choose another on validation videos only.",
    )
    decode: Literal["mean", "median"] = Field(
        "mean",
        description="From the probabilities of the 40 motions to one: their `mean` (Walker et al.'s), which tells where motion is "
        "likely, or their geometric `median`, which has the least expected end-point error and rests where most does.",
    )
    colour: Annotated[float, Field(ge=0, le=1)] = Field(
        0.0,
        description="Strength of random changes of colour in training, beside their changes of brightness; 0, Walker et al.'s, "
        "makes none. Not for `pretrained`, whose features are computed once, of images as they are and mirrored.",
    )
    train: StaticFlowTrainConfig = Field(StaticFlowTrainConfig(), description="Optimisation: the keys below.")

    @model_validator(mode="after")
    def _published(self) -> StaticFlowConfig:
        if self.weights == "walker" and (self.variant, self.width, self.codebook) != (
            "walker",
            1.0,
            "walker",
        ):
            raise ValueError("weights: walker needs variant walker, width 1.0 and codebook walker")
        if self.variant == "pretrained" and self.colour:
            raise ValueError("variant: pretrained sees no changed colours; set colour: 0.0")
        return self


class StillModelConfig(Section):
    """One net of Table 3."""

    arch: Literal["spatial", "late", "early", "shallow", "lite"] = Field(
        description="Architecture: those of the paper, `shallow`, Pan et al.'s Shallow Conv, or `lite`, our own."
    )
    start: Name | None = Field(
        None,
        description="Weights to start from: a model of section `models`, as trained on the videos with the same seed; "
        "`salnet` or `vggm`, published weights; `null`, random ones.",
    )
    motion: Literal["predicted", "none"] = Field(
        "predicted",
        description="What a net that looks at flow gets: the motion predicted from the image, or zero everywhere.",
    )
    finetune: bool = Field(True, description="Whether to train on the still images at all.")
    net: dict[str, Any] = Field(
        {}, exclude_if=operator.not_, description="Keys of section `net` in which this net differs."
    )
    train: dict[str, Any] = Field(
        {}, exclude_if=operator.not_, description="Keys of `transfer.train` in which this net differs."
    )


_MODELS = {
    "early": StillModelConfig(arch="early", start="early_aug"),
    "early_no_motion": StillModelConfig(arch="early", start="early_aug", motion="none"),
    "spatial": StillModelConfig(arch="spatial", start="spatial"),
    "early_scratch": StillModelConfig(arch="early"),
    "early_video": StillModelConfig(arch="early", start="early_aug", finetune=False),
    "deep": StillModelConfig(arch="spatial"),
    "shallow": StillModelConfig(arch="shallow"),
}
_BASELINES: dict[str, Any] = {"rare_style": RareStyleOptions(), "gbvs": GbvsOptions(), "itti": IttiOptions()}


class TransferConfig(Section):
    """Table 3: nets trained on the videos, fine-tuned on still images with predicted motion."""

    dataset: DatasetConfig = Field(
        DatasetConfig(name="salicon", split="salicon"),
        description="The still images: `salicon` (the paper's), `osie` or `demo_stills`; keys as in section `dataset`.",
    )
    size: tuple[Count, Count] = Field(
        (640, 480), description="Working width and height, at which maps are scored too."
    )
    train: TrainConfig | None = Field(
        None, description="Optimisation, keys as in section `train`; `null`: as there."
    )
    models: dict[Name, StillModelConfig] = Field(
        _MODELS, description="Name of the row: net and where it starts."
    )
    pool_images: Count = Field(
        10,
        description="Images per test shard, drawn once by evaluate.pool_seed, whose fixations serve as shuffled negatives. "
        "(SALICON's release of 2015 has thousands of points per image.)",
    )
    baselines_size: tuple[Count, Count] | None = Field(
        None, description="Width and height at which the baselines see the images; `null`: `transfer.size`."
    )
    baselines: dict[Name, BaselineOptions] = Field(
        _BASELINES, description="Name of the row: baseline model and its options, as in section `baselines`."
    )

    @model_validator(mode="after")
    def _consistent(self) -> TransferConfig:
        problems = []
        if self.dataset.name not in ("salicon", "osie", "demo_stills"):
            problems.append(f"dataset.name: {self.dataset.name} holds no still images")
        if any(side % 4 for side in self.size):
            problems.append(f"size: {list(self.size)} must be multiples of 4")
        problems += [
            f"models.{name}: without a start there is nothing to leave as it is; set finetune: true"
            for name, model in self.models.items()
            if not model.finetune and model.start is None
        ]
        problems += [
            f"baselines.{name}: {options.model} learns from videos"
            for name, options in self.baselines.items()
            if options.model == "rudoy"
        ]
        problems += [
            f"baselines.{name}: the name is taken by a net" for name in self.baselines if name in self.models
        ]
        if problems:
            raise ValueError("; ".join(problems))
        return self
