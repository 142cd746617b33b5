"""The typed configuration: the only place with names, types, defaults and meanings of the keys.

Its sections stand in ``config_*.py`` beside this module, which puts them together and reads files.
``python -m dynsal.config_docs`` writes workflow/schemas/config.schema.json and config/README.md from it; a test fails
when they are out of step. Importing all this is cheap (no numpy), because every job parses the Snakefile.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

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
from dynsal.config_sections import (
    Count,
    DatasetConfig,
    FlowConfig,
    GazeConfig,
    LiteConfig,
    Name,
    NetConfig,
    PrepareConfig,
    Section,
    overridden,
)
from dynsal.config_train import ModelConfig, TrainConfig
from dynsal.config_transfer import StaticFlowConfig, TransferConfig

__all__ = [
    "RESERVED", "BaselinesConfig", "Config", "ConfigError", "DatasetConfig", "EvaluateConfig", "FlowConfig", "GazeConfig",
    "LiteConfig", "ModelConfig", "NetConfig", "PrepareConfig", "Section", "StaticFlowConfig", "TableConfig", "TrainConfig",
    "TransferConfig", "load", "parse", "stage_json",
]  # fmt: skip


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
    static_flow: StaticFlowConfig = StaticFlowConfig()
    transfer: TransferConfig | None = Field(
        None,
        description="Table 3: nets trained on the videos, fine-tuned on still images; `null` does without.",
    )
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
            own = ((self.net, model.net), (self.train, model.train))
            problems += override_problems(f"models.{name}", model.arch, *own) + self._start_problems(name)
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

    def of_model(self, name: str) -> tuple[NetConfig, TrainConfig]:
        """Return the sections ``net`` and ``train`` as they hold for a model: the shared keys, then its own.

        Raises
        ------
        ValidationError
            If its own keys are unknown or their values wrong, which a parsed configuration has been checked for.
        """
        model = self.models[name]
        return overridden(self.net, model.net), overridden(self.train, model.train)

    def _start_problems(self, name: str) -> list[str]:
        """Return what is wrong with where a model starts: it must be a net that learns from still images alone."""
        model = self.models[name]
        if model.start is None:
            return []
        still = self.transfer.models.get(model.start) if self.transfer else None
        if still is None:
            problem = f"there is no {model.start} in section transfer.models"
        elif still.arch != model.arch:
            problem = f"{model.start} is of arch {still.arch}, not {model.arch}"
        elif still.start in self.models or not still.finetune:
            problem = f"{model.start} must be trained on still images, and not start from videos"
        else:
            return []
        return [f"models.{name}.start: {problem}"]


def override_problems(
    where: str, arch: str, net: tuple[NetConfig, dict[str, Any]], train: tuple[TrainConfig, dict[str, Any]]
) -> list[str]:
    """Return what is wrong with a net's own keys: each pair is a shared section and what replaces keys of it."""
    try:
        net_cfg, train_cfg = overridden(*net), overridden(*train)
    except ValidationError as error:
        return [
            f"{where}: {'.'.join(str(part) for part in item['loc'])}: {item['msg']}"
            for item in error.errors()
        ]
    if (train_cfg.loss == "euclidean") != (net_cfg.coding == "salnet"):
        return [f"{where}: train.loss {train_cfg.loss} does not go with net.coding {net_cfg.coding}"]
    if arch == "lite" and net_cfg.coding != "log_density":
        return [f"{where}: arch lite gives logarithms of densities; set net.coding log_density"]
    return []


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
