"""Sections of the configuration that say what the data and the nets are; see `dynsal.config`."""

from __future__ import annotations

import json
import operator
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(gt=0)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class Section(BaseModel):
    """Unknown keys are refused and numbers must be numbers: YAML reads ``1e-3`` as text, so write ``1.0e-3``."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


AnySection = TypeVar("AnySection", bound=Section)


def overridden(section: AnySection, own: dict[str, Any]) -> AnySection:
    """Return a section with some of its keys replaced.

    Raises
    ------
    ValidationError
        If a key is unknown or a value wrong.
    """
    values = json.dumps({**section.model_dump(mode="json"), **own})
    return type(section).model_validate_json(values)


class DatasetConfig(Section):
    """Which videos, and which of them train, validate and test."""

    name: Literal["demo", "diem", "hevc33", "salicon", "osie", "demo_stills", "folder"] = Field(
        "demo",
        description="Data set: `demo` (synthetic, embedded), `diem` (the paper), `hevc33` (real gaze), `salicon`, `osie` and "
        "`demo_stills` (still images; synthetic the last), `folder` (your own).",
    )
    source: Literal["original", "stavis"] = Field(
        "original",
        description="DIEM: the original videos and event files, or the frames and fixation maps as preprocessed for "
        "STAViS (no single viewers, hence no human ceiling).",
    )
    release: Literal["2015r1", "2017"] = Field(
        "2015r1",
        description="SALICON: the release of 2015 (the paper's) or that of 2017, whose results stand apart in "
        "`results/salicon2017`.",
    )
    folder: str | None = Field(None, description="`folder`: path of your videos and gaze (docs/datasets.md).")
    label: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")] | None = Field(
        None,
        description="`folder`: results go to `results/<label>/`; `null` makes one of the folder's name.",
    )
    split: str = Field(
        "demo",
        description="Split list `resources/splits/<split>.csv`: `demo`, `hevc33`, `borji20` (the paper's), `stavis17`, `salicon`, "
        "`osie`; `folder` reads `split.csv` in the folder instead.",
    )
    validation: list[str] = Field(
        [], description="Videos taken out of the training list for validation; never test videos."
    )
    only: list[str] = Field([], description="Restrict the run to these videos; empty means all of the split.")
    experiments: Literal["all", "latest"] | list[int] = Field(
        "all",
        description="DIEM: which experiments' recordings count (a video may have been shown in several).",
    )
    eyes: Literal["both", "either"] = Field(
        "both", description="DIEM: a sample counts if both eyes fixate (mean of the two), or if either does."
    )


class PrepareConfig(Section):
    """Rescaling."""

    size: tuple[Count, Count] = Field(
        (640, 480),
        description="Working width and height in pixels; the aspect ratio is not kept (paper, 4.1).",
    )
    fps_target: Positive | None = Field(
        None,
        description="Thin faster videos to about this rate before anything else (every round(fps / target)-th frame), "
        "so that flow magnitudes are comparable between videos; `null` keeps every frame.",
    )
    frame_step: Count = Field(
        1,
        description="Keep every n-th of those frames for training and scoring. Flow still runs to the next "
        "frame of the video, not to the next kept one.",
    )
    jpeg_quality: Annotated[int, Field(ge=1, le=100)] = Field(95, description="Quality of the stored frames.")
    batch: Count = Field(
        1,
        exclude=True,  # how the work is shared out changes no file, so no step's parameters may hold it
        description="Videos per job in the steps rescale, gaze, flow and augment (docs/scaling.md): for many short videos, "
        "whose jobs take longer to start than to run. The files stay the same.",
    )

    @model_validator(mode="after")
    def _multiple_of_four(self) -> PrepareConfig:
        if any(side % 4 for side in self.size):
            raise ValueError(
                f"size {list(self.size)}: the nets return the input's size only for multiples of 4; "
                f"use {[max(4, round(side / 4) * 4) for side in self.size]}"
            )
        return self


class GazeConfig(Section):
    """From fixations to density maps."""

    sigma_deg: Positive = Field(
        1.0, description="Standard deviation of the Gaussian, in degrees of visual angle."
    )
    px_per_deg: Positive | None = Field(
        None,
        description="Pixels of the source video (or screen) per degree; `null` takes the data set's own "
        "(DIEM 50, hevc33 30, OSIE 24; SALICON 19, the Gaussian of its official maps; `folder` what its dataset.yaml says).",
    )


class FlowConfig(Section):
    """Optical flow and the 3-channel flow image (u, v, magnitude)."""

    estimator: Literal["deepflow", "dis", "farneback"] = Field(
        "deepflow",
        description="`deepflow` is OpenCV's: the variational part, without DeepMatching. `dis` and `farneback` are much faster.",
    )
    direction: Literal["forward", "backward"] = Field(
        "forward",
        description="`forward`: t to t+1 on frame t's grid (the last frame repeats the field before it); "
        "`backward`: t to t-1, causal (the first frame repeats the field after it).",
    )
    bound: Positive = Field(
        20.0,
        description="Pixels of flow at the working size that become 1.0 in the flow image; larger values are clipped "
        "and counted. The same bound serves the low-resolution copies.",
    )


class LiteConfig(Section):
    """The parts of arch `lite`."""

    backbone: Literal["frozen", "tuned", "random"] = Field(
        "frozen",
        description="ImageNet's features as they are, trained further, or random weights trained from the start.",
    )
    backbone_rate: Positive = Field(
        0.1,
        exclude_if=lambda value: value == 0.1,
        description="`tuned`: the backbone's learning rate as a share of the rest's.",
    )
    motion: bool = Field(True, description="Whether it looks at the flow.")
    prior: bool = Field(
        True, description="Whether it has a Gaussian of its own for where people look in general."
    )
    zoom: Literal[1, 2] = Field(
        1,
        description="2: everything is seen enlarged twice, for working sizes much below the backbone's 224x224.",
    )
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.2, description="Share of the backbone's channels that training leaves out at random."
    )


class NetConfig(Section):
    """What all architectures share."""

    width: Annotated[float, Field(gt=0, le=2)] = Field(
        1.0, description="Multiplies the number of channels of every hidden layer; 1 is the paper."
    )
    fusion_init_scale: Positive = Field(
        1.0,
        description="conv_fuse starts as this times [I | I]: 1.0 is the paper's literal reading (sum of the streams), "
        "0.5 their mean.",
    )
    fusion_relu: bool = Field(
        False, description="ReLU after conv_fuse: the text has it, the official prototxt not."
    )
    coding: Literal["salnet", "log_density"] = Field(
        "salnet",
        description="What the output means: `salnet`, bytes of the map as (g - 31) * 2/255, decoded and clipped at 0; "
        "`log_density`, softmax over the pixels.",
    )
    init: Annotated[str, Field(pattern=r"^(he|salnet|vggm|.*\.(safetensors|caffemodel))$")] = Field(
        "he",
        description="Initial weights: `he` (random), `salnet` (the paper's: SalNet's published weights, in both "
        "streams), `vggm` (conv1 to conv3 of VGG-CNN-M, the rest random), or a .safetensors or .caffemodel file "
        "(docs/weights.md). `salnet` and `vggm` are downloaded and need width 1.",
    )
    lite: LiteConfig | None = Field(
        None,
        exclude_if=operator.not_,  # so that the parameters of stages without it are what they were
        description="Arch `lite`: its parts; `null`, their defaults. It has its own widths and, with init `he`, its own "
        "initial weights.",
    )

    @model_validator(mode="after")
    def _published_width(self) -> NetConfig:
        if self.init in ("salnet", "vggm") and self.width != 1.0:
            raise ValueError(
                f"init: {self.init} has the paper's width, 1.0, not {self.width:g}; use width 1.0 or init he"
            )
        return self
