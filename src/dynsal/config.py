"""The typed configuration: the only place with names, types, defaults and meanings of the keys.

``python -m dynsal.config_docs`` writes workflow/schemas/config.schema.yaml and config/README.md from it; a test fails
when they are out of step. Importing this module is cheap (no numpy), because every job parses the Snakefile.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from dynsal.config_baselines import (
    BaselineOptions,
    GbvsOptions,
    IclOptions,
    IttiOptions,
    PqftOptions,
    RudoyOptions,
    SelfResemblanceOptions,
    SpectralOptions,
    TemporalSpectralOptions,
)

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(gt=0)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class Section(BaseModel):
    """Unknown keys are refused and numbers must be numbers: YAML reads ``1e-3`` as text, so write ``1.0e-3``."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class DatasetConfig(Section):
    """Which videos, and which of them train, validate and test."""

    name: Literal["demo", "diem", "hevc33", "salicon", "osie", "folder"] = Field(
        "demo",
        description="Data set: `demo` (synthetic, embedded), `diem` (the paper), `hevc33` (real gaze), `salicon` and "
        "`osie` (still images), `folder` (your own).",
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

    @model_validator(mode="after")
    def _published_width(self) -> NetConfig:
        if self.init in ("salnet", "vggm") and self.width != 1.0:
            raise ValueError(
                f"init: {self.init} has the paper's width, 1.0, not {self.width:g}; use width 1.0 or init he"
            )
        return self


class TrainConfig(Section):
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


class ModelConfig(Section):
    """One row of Table 1."""

    arch: Literal["spatial", "temporal", "late", "early"] = Field(
        description="Architecture (paper, section 3)."
    )
    augment: list[Literal[1, 2, 4]] = Field(
        [1],
        description="Resolutions used in training: 1 is the working size, 2 and 4 the low-resolution copies.",
    )


class EvaluateConfig(Section):
    """Scoring."""

    protocol: Literal["exact", "published"] = Field(
        "exact",
        description="`exact`: the metrics of docs/metrics.md at the working size. `published`: as the code behind the "
        "published baseline figures on DIEM probably did: a fifth of the native size, Gaussian of 10 pixels there, "
        "frames 30 to N - 30, and `sauc` as Borji's AUC with 100 draws from the same video's other frames.",
    )
    frames: Literal["all", "trim30", "first300"] = Field(
        "all",
        description="Source frames scored: all, all but 30 at both ends, or the first 300 (protocol `exact`).",
    )
    pool_frames: Count = Field(
        50, description="Frames per video, drawn once by seed, whose fixations serve as shuffled negatives."
    )
    pool_seed: int = Field(0, description="Seed of that draw.")
    batch_size: Count = Field(8, description="Frames per forward pass.")
    human_draws: Count = Field(
        2, description="Random splits of the viewers into halves for the human ceiling."
    )


class TableConfig(Section):
    """Aggregation."""

    resamples: Count = Field(10_000, description="Bootstrap resamples over videos, the same for all models.")
    seed: int = Field(0, description="Seed of the resampling.")


_BASELINES: dict[str, Any] = {
    "rudoy": RudoyOptions(),
    "gbvs": GbvsOptions(),
    "pqft": PqftOptions(),
    "icl": IclOptions(),
    "itti": IttiOptions(),
    "self_resemblance": SelfResemblanceOptions(),
    "spectral_residual": SpectralOptions(),
    "temporal_spectral": TemporalSpectralOptions(),
}


class BaselinesConfig(Section):
    """The baselines of Table 2."""

    size: tuple[Count, Count] | None = Field(
        None,
        description="Width and height at which they see the frames; their maps are then rescaled to the ground truth's "
        "size. `null`: that size itself.",
    )
    models: dict[Name, BaselineOptions] = Field(
        _BASELINES, description="Name of the row: baseline model and its options."
    )


_MODELS = {
    "spatial": ModelConfig(arch="spatial"),
    "temporal": ModelConfig(arch="temporal"),
    "late": ModelConfig(arch="late"),
    "early": ModelConfig(arch="early"),
    "early_aug": ModelConfig(arch="early", augment=[1, 2, 4]),
}


class Config(Section):
    """A whole experiment."""

    dataset: DatasetConfig = DatasetConfig()
    mirrors: list[str] = Field(
        [],
        description="Local folders tried before any download, as `<mirror>/<data set>/<file>`; the environment "
        "variable DYNSAL_MIRROR adds more, separated by colons.",
    )
    seeds: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)] = Field(
        [0], description="One training of every model per seed."
    )
    prepare: PrepareConfig = PrepareConfig()
    gaze: GazeConfig = GazeConfig()
    flow: FlowConfig = FlowConfig()
    net: NetConfig = NetConfig()
    train: TrainConfig = TrainConfig()
    models: dict[Name, ModelConfig] = Field(
        _MODELS, description="Name of the row: architecture and training resolutions."
    )
    baselines: BaselinesConfig = BaselinesConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    table: TableConfig = TableConfig()

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        problems = []
        if (self.train.loss == "euclidean") != (self.net.coding == "salnet"):
            problems.append(
                f"train.loss: {self.train.loss} does not go with net.coding {self.net.coding}; "
                "use euclidean with salnet, kld or kld_cc_nss with log_density"
            )
        if self.train.keep == "best" and not (self.dataset.validation and self.train.validation_frames):
            problems.append(
                "train.keep: best needs dataset.validation videos and train.validation_frames > 0"
            )
        if self.dataset.source == "stavis" and self.dataset.name != "diem":
            problems.append(f"dataset.source: stavis is a form of diem, not of {self.dataset.name}")
        named = [key for key in ("folder", "label") if getattr(self.dataset, key) is not None]
        if self.dataset.name == "folder" and self.dataset.folder is None:
            problems.append("dataset.folder: name folder needs it, the path of your videos and gaze")
        if self.dataset.name != "folder" and named:
            problems.append(f"dataset.{' and dataset.'.join(named)}: only for name folder")
        if len(set(self.seeds)) != len(self.seeds):
            problems.append(f"seeds: {self.seeds} repeats a seed")
        problems += [
            f"{section}.{name}: the name is taken by {taken}"
            for section, names, taken, others in (
                ("models", self.models, "a floor or ceiling row", RESERVED),
                ("baselines.models", self.baselines.models, "a floor or ceiling row", RESERVED),
                ("baselines.models", self.baselines.models, "a net", self.models),
            )
            for name in names
            if name in others
        ]
        for name, model in self.models.items():
            if len(set(model.augment)) != len(model.augment) or not model.augment:
                problems.append(
                    f"models.{name}.augment: {model.augment} must name each factor once, at least one"
                )
            for factor in model.augment:
                if any(side % (4 * factor) for side in self.prepare.size):
                    problems.append(
                        f"models.{name}.augment: size {list(self.prepare.size)} / {factor} is no multiple of 4"
                    )
        if problems:
            raise ValueError("; ".join(problems))
        return self


RESERVED = ("centre", "uniform", "mean_map", "human", "oracle")
"""Rows of every table that need no training."""


class ConfigError(Exception):
    """All errors of a configuration, one per line, with their paths."""


def parse(values: dict[str, Any], source: str = "configuration") -> Config:
    """Validate plain values (from YAML) and fill in the defaults.

    Raises
    ------
    ConfigError
        Listing every error with its path, not only the first.
    """
    try:
        # Through JSON, because strict validation of JSON takes lists for tuples as YAML has to write them.
        return Config.model_validate_json(json.dumps(values))
    except ValidationError as error:
        lines = [
            f"  {'.'.join(str(part) for part in item['loc']) or 'whole file'}: {item['msg']}"
            + ("" if isinstance(item["input"], dict) else f" (found {item['input']!r})")
            for item in error.errors()
        ]
        raise ConfigError(
            f"{source}: {len(lines)} error(s)\n" + "\n".join(lines) + "\nKeys and meanings: config/README.md"
        ) from None


def load(path: Path) -> Config:
    """Read and validate a YAML file.

    Raises
    ------
    ConfigError
        If the file is missing, is no YAML mapping, or does not validate.
    """
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read as YAML: {error}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected a mapping of keys, found {type(values).__name__}")
    return parse(values, str(path))


def stage_json(config: Config, *sections: str) -> str:
    """Return the named sections as one JSON string with sorted keys.

    Stages get their parameters in this form: Snakemake compares ``params`` by their printed form, so a stable
    string reruns a stage when, and only when, a value it uses changes.
    """
    values = config.model_dump(mode="json")
    return json.dumps({name: values[name] for name in sections}, sort_keys=True)
