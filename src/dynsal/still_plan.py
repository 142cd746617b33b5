"""The plan of Table 3: which still images, nets and files; see `dynsal.workflow`, whose neighbour it is."""

from __future__ import annotations

import json

from dynsal import layout
from dynsal.config import RESERVED, BaselinesConfig, Config, ConfigError, override_problems
from dynsal.config_sections import overridden
from dynsal.config_transfer import StillModelConfig, TransferConfig
from dynsal.nets import REGISTRY
from dynsal.workflow import Plan

_NO_STILLS = "Table 3 needs the section transfer, which says which still images the nets are transferred to"


def still_config(config: Config, transfer: TransferConfig) -> Config:
    """Return the configuration as the steps on the still images see it."""
    prepare = config.prepare.model_copy(update={"size": transfer.size, "fps_target": None, "frame_step": 1})
    return config.model_copy(
        update={
            "dataset": transfer.dataset,
            "prepare": prepare,
            "train": transfer.train or config.train,
            "evaluate": config.evaluate.model_copy(update={"pool_frames": transfer.pool_images}),
            "baselines": BaselinesConfig(size=transfer.baselines_size, models=transfer.baselines),
        }
    )


def _problems(config: Config, transfer: TransferConfig) -> list[str]:
    """Return how the section does not go with the others; not asked before Table 3 is, so that others may change."""
    problems = [
        f"transfer.{section}.{name}: the name is taken by a floor or ceiling row"
        for section, names in (("models", transfer.models), ("baselines", transfer.baselines))
        for name in names
        if name in RESERVED
    ]
    for name, still in transfer.models.items():
        own = ((config.net, still.net), (transfer.train or config.train, still.train))
        problems += override_problems(f"transfer.models.{name}", still.arch, *own)
        start = config.models.get(still.start or "")
        if still.start in layout.PUBLISHED_WEIGHTS:
            if config.net.width != 1.0:
                problems.append(f"transfer.models.{name}.start: {still.start} needs net.width 1.0")
        elif still.start is not None and start is None:
            problems.append(f"transfer.models.{name}.start: there is no {still.start} in section models")
        elif start is not None and start.arch != still.arch:
            problems.append(
                f"transfer.models.{name}.start: {still.start} is of arch {start.arch}, not {still.arch}"
            )
    return problems


class StillPlan(Plan):
    """What the rules of Table 3 need to know; data set, sizes and training are those of the still images.

    Raises
    ------
    ConfigError
        If there is no section ``transfer``, or its data set is wrong.
    """

    def __init__(self, config: Config) -> None:
        if config.transfer is None:
            raise ConfigError(_NO_STILLS)
        self.transfer = config.transfer
        self.source = Plan(config)
        if self.source.stills:
            raise ConfigError(
                f"dataset.name: {self.source.ds} holds still images; Table 3 starts from videos"
            )
        problems = _problems(config, config.transfer)
        if problems:
            raise ConfigError("\n".join(problems))
        super().__init__(still_config(config, config.transfer))
        if not self.test:
            raise ConfigError("transfer.dataset.only: no test shard is left")
        self.models = list(config.transfer.models)  # in the order of the configuration
        self.given = config

    def model(self, name: str) -> StillModelConfig:
        """Return a net's entry."""
        return self.transfer.models[name]

    def runs(self) -> dict[str, list[int]]:
        """Return the seeds of every row of Table 3."""
        return {
            **dict.fromkeys(self.models, self.seeds),
            **{name: [0] for name in [*self.baselines, *self.floors]},
        }

    def shown_nets(self) -> list[str]:
        """Return the nets below several images: the first, and the first of another arch that knows nothing of the videos."""
        own = self.model(self.models[0]).arch
        others = [
            name
            for name in self.models
            if self.model(name).arch != own and self.model(name).start not in self.given.models
        ]
        return [self.models[0], *others[:1]]

    def start(self, name: str, seed: int | str) -> list[str]:
        """Return the file of the weights that a net starts from; nothing for random ones."""
        start = self.model(name).start
        if start is None:
            return []
        if start in layout.PUBLISHED_WEIGHTS:
            return [f"results/weights/{start}.safetensors"]
        return [f"results/{self.source.ds}/models/{start}/seed{seed}/model.safetensors"]

    def all_scores(self) -> list[str]:
        """Return the score files of all rows and seeds: what Table 3 is made of."""
        return [
            path for name, seeds in self.runs().items() for seed in seeds for path in self.scores(name, seed)
        ]

    def net_params(self, name: str, seed: int | str) -> str:
        """Return the sections that a training needs, ``net`` and ``train`` being the net's own.

        ``net.init`` names the file that the net starts from.
        """
        sections = json.loads(self.params("prepare", "gaze", "flow", "net", "train"))
        own = self.model(name)
        sections["net"] = overridden(self.config.net, own.net).model_dump(mode="json")
        sections["train"] = overridden(self.config.train, own.train).model_dump(mode="json")
        sections["net"]["init"] = next(iter(self.start(name, seed)), "he")
        return json.dumps(sections, sort_keys=True)

    def looks_at_motion(self, name: str) -> bool:
        """Whether a net gets predicted motion."""
        model = self.model(name)
        return "flow" in REGISTRY[model.arch].inputs and model.motion == "predicted"

    def motion(self, name: str, shards: list[str]) -> list[str]:
        """Return the files with the motion predicted for shards, if a net gets any."""
        return self.paths("flow", shards) if self.looks_at_motion(name) else []

    @property
    def static_flow(self) -> str:
        """The folder of the net that predicts motion, which learns from the videos."""
        return f"results/{self.source.ds}/static_flow"

    def codebook(self) -> list[str]:
        """Return the authors' codebook, if it is to be used instead of one of our own."""
        walker = self.given.static_flow.codebook == "walker"
        return ["results/baselines/raw/clusters.mat"] if walker else []

    def caffemodel(self) -> list[str]:
        """Return the authors' weights, if they are to be used instead of a training."""
        walker = self.given.static_flow.weights == "walker"
        return [f"results/weights/raw/{layout.WALKER_WEIGHTS}"] if walker else []

    def downloads(self) -> list[str]:
        """Return what has to come from elsewhere for Table 3, besides what the videos need."""
        published = [
            f"results/weights/raw/{layout.PUBLISHED_WEIGHTS[start]}"
            for start in (self.model(name).start for name in self.models)
            if start in layout.PUBLISHED_WEIGHTS
        ]
        return list(dict.fromkeys([*super().downloads(), *published, *self.codebook(), *self.caffemodel()]))
