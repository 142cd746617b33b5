"""The plan of a run: which videos, models and files.

The Snakefile is parsed again by every job, so this module imports nothing heavy. All paths are relative to the
working directory, in the layout that a user can type: ``results/{ds}/<step>/...``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

from dynsal import layout, originals, own_folder
from dynsal.config import RESERVED, Config, ConfigError, ModelConfig, stage_json
from dynsal.config_baselines import REGISTRY, Entry


class Plan:
    """Everything that the rules need to know, computed from the configuration and the committed split lists.

    Raises
    ------
    ConfigError
        If a name in the configuration is in no split list, or a role would be left without videos.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.ds = originals.label(config.dataset)
        self.stills = config.dataset.name in originals.STILLS
        problems = own_folder.problems(config)
        if problems:
            raise ConfigError("\n".join(problems))
        roles, split_file = originals.split(config.dataset)
        blind = layout.blind(config.dataset.split) if self.stills else []
        listed = {*roles, *blind}
        problems = [
            f"dataset.{key}: {video} is not in {split_file}"
            for key in ("validation", "only")
            for video in getattr(config.dataset, key)
            if video not in listed
        ]
        problems += [
            f"dataset.validation: {video} is a test video; validation is cut from the training videos"
            for video in config.dataset.validation
            if roles.get(video) == "test" or video in blind
        ]
        only = set(config.dataset.only)
        chosen = {video: role for video, role in roles.items() if not only or video in only}
        held_out = set(config.dataset.validation)
        self.train = [video for video, role in chosen.items() if role == "train" and video not in held_out]
        self.validation = [video for video in chosen if video in held_out]
        self.test = [video for video, role in chosen.items() if role == "test"]
        problems += own_folder.file_problems(config, list(chosen))
        if not self.train:
            problems.append("dataset: no training video is left; check dataset.only and dataset.validation")
        self.blind = [video for video in blind if not only or video in only]
        if len(self.test) < 2 and not self.stills:
            problems.append("dataset: at least two test videos are needed (negatives come from other videos)")
        if config.dataset.source == "stavis":
            problems += [
                f"dataset.source: the STAViS form lacks {video}; use split stavis17, or leave it out by dataset.only"
                for video in sorted(set(chosen) - set(layout.split("stavis17")))
            ]
        if problems:
            raise ConfigError("\n".join(problems))
        self.listed = list(roles)
        self.batch = 1 if self.stills else config.prepare.batch
        self.videos = [*self.train, *self.validation, *self.test]
        self._known = frozenset([*self.videos, *self.blind])
        self.models = sorted(config.models, key=lambda name: (*_paper_order(config.models[name]), name))
        self.seeds = config.seeds
        rows = config.baselines.models
        self.baselines = sorted(rows, key=lambda name: (list(REGISTRY).index(rows[name].model), name))
        unknown = set() if config.dataset.name in ("demo", "demo_stills") else {"oracle"}
        if config.dataset.source == "stavis":
            unknown.add("human")  # its fixation maps do not say who looked
        self.floors = [name for name in RESERVED if name not in unknown]

    def params(self, *sections: str) -> str:
        """Return sections of the configuration as one stable JSON string."""
        return stage_json(self.config, *sections)

    def training_params(self, model: str, seed: int | str) -> str:
        """Return what a training depends on as one stable JSON string; ``net`` and ``train`` are the model's own.

        ``net.init`` of a model that starts from a net trained on still images names its file.
        """
        net, train = self.config.of_model(model)
        own = {"net": net.model_dump(mode="json"), "train": train.model_dump(mode="json")}
        own["net"]["init"] = self._pretrained(model, seed) or net.init
        return json.dumps({**json.loads(self.params("prepare", "gaze", "flow")), **own}, sort_keys=True)

    def initial_weights(self, model: str, seed: int | str) -> list[str]:
        """Return the file of the weights that a training starts from; nothing for random ones."""
        net, _ = self.config.of_model(model)
        file = self._pretrained(model, seed) or layout.initial_weights(net.init)
        return [file] if file else []

    def _pretrained(self, model: str, seed: int | str) -> str | None:
        """Return the file of the net, trained on still images with the same seed, that a model starts from, if it does."""
        start, transfer = self.config.models[model].start, self.config.transfer
        if start is None or transfer is None:
            return None
        return f"results/{originals.label(transfer.dataset)}/models/{start}/seed{seed}/model.safetensors"

    def starts_from_stills(self) -> bool:
        """Whether any model starts from a net that was trained on still images: they are then needed for Table 1."""
        return any(model.start for model in self.config.models.values())

    def fields(self, **keys: Sequence[str]) -> str:
        """Return single keys of sections as one stable JSON string, for steps that use no others."""
        values = self.config.model_dump(mode="json")
        chosen = {section: {key: values[section][key] for key in names} for section, names in keys.items()}
        return json.dumps(chosen, sort_keys=True)

    def path(self, step: str, video: str) -> str:
        """Return the file of one video and step, such as ``results/demo/flow/<video>.h5``."""
        suffix = "parquet" if step == "gaze" else "h5"
        return f"results/{self.ds}/{step}/{video}.{suffix}"

    def paths(self, step: str, videos: list[str]) -> list[str]:
        """Return the files of several videos for one step."""
        return [self.path(step, video) for video in videos]

    @property
    def raw(self) -> str:
        """The folder of the original files."""
        return originals.raw_root(self.config.dataset, self.ds)

    def raw_video(self, video: str) -> list[str]:
        """Return the original files that hold a video's pictures; the first is the video itself."""
        return self._originals(originals.ORIGINALS[self.config.dataset.name].pictures, video)

    def flow_source(self, video: str) -> list[str]:
        """Return the original files that a video's optical flow is computed from.

        Raises
        ------
        ConfigError
            For still images.
        """
        if self.stills:
            raise ConfigError(
                f"{self.ds} holds still images, which have no optical flow; ask for `data`, or choose a data set of "
                "videos as dataset.name"
            )
        return self.raw_video(video)

    def raw_gaze(self, video: str) -> list[str]:
        """Return the original files that stand for a video's gaze: a data base, or the manifest of its folder."""
        return self._originals(originals.ORIGINALS[self.config.dataset.name].gaze, video)

    def _originals(self, names: originals.Names, video: str) -> list[str]:
        if video not in self._known:
            raise ConfigError(f"{self.ds} has no video {video}, or dataset.only leaves it out")
        return [f"{self.raw}/{name}" for name in names(self.config.dataset, video)]

    def downloads(self) -> list[str]:
        """Return what has to come from elsewhere: original files, published initial weights, files of the baselines."""
        dataset, init = self.config.dataset, self.config.net.init
        names = [
            name
            for video in [*self.videos, *self.blind]
            for name in originals.fetched(dataset, video, with_gaze=video not in self.blind)
        ]
        published = layout.PUBLISHED_WEIGHTS
        weights = [f"results/weights/raw/{published[init]}"] if init in published else []
        baselines = [path for name in self.baselines for path in self.downloads_of(name)]
        return list(dict.fromkeys([*(f"{self.raw}/{name}" for name in names), *weights, *baselines]))

    def truth(self, video: str) -> list[str]:
        """Return the file with the known gaze density, which only synthetic data sets have."""
        synthetic = self.config.dataset.name in ("demo", "demo_stills")
        return [f"results/{self.ds}/raw/{video}/truth.h5"] if synthetic else []

    def augment_factors(self, model: str) -> list[int]:
        """Return the low-resolution factors a model trains on besides the working size."""
        return [factor for factor in self.config.models[model].augment if factor > 1]

    def all_factors(self) -> list[int]:
        """Return every low-resolution factor that any model asks for."""
        return sorted({factor for model in self.models for factor in self.augment_factors(model)})

    def training_clips(self, model: str) -> list[str]:
        """Return the clips a model is trained on: frames and flow at the working size, then the copies."""
        files = []
        if 1 in self.config.models[model].augment:
            files += self.paths("frames", self.train) + self.paths("flow", self.train)
        for factor in self.augment_factors(model):
            files += self.paths(f"augmented/x{factor}", self.train)
        return files

    def scores(self, model: str, seed: int) -> list[str]:
        """Return a model's score files, one per test video."""
        return [f"results/{self.ds}/scores/{model}/seed{seed}/{video}.parquet" for video in self.test]

    def runs(self) -> dict[str, list[int]]:
        """Return the seeds of every row of a table; floors and ceilings have one."""
        return {**{name: [0] for name in self.floors}, **dict.fromkeys(self.models, self.seeds)}

    def all_scores(self) -> list[str]:
        """Return the score files of all models, seeds, floors and ceilings: what Table 1 is made of.

        Raises
        ------
        ConfigError
            For still images.
        """
        if self.stills:
            raise ConfigError(
                f"{self.ds} holds still images, and Table 1 compares models on videos; ask for `data`, or choose a "
                "data set of videos as dataset.name"
            )
        return [
            path for name, seeds in self.runs().items() for seed in seeds for path in self.scores(name, seed)
        ]

    def subjects(self) -> list[str]:
        """Return the nets of Table 2: the last of Table 1, the paper's best, and any that are not the paper's."""
        return [
            self.models[-1],
            *(name for name in self.models[:-1] if self.config.models[name].arch == "lite"),
        ]

    def compared(self) -> dict[str, list[int]]:
        """Return the seeds of every row of Table 2: its nets, the baselines, floors and ceilings."""
        return {
            **dict.fromkeys(self.subjects(), self.seeds),
            **{name: [0] for name in [*self.baselines, *self.floors]},
        }

    def compared_scores(self) -> list[str]:
        """Return the score files behind Table 2."""
        return [
            path
            for name, seeds in self.compared().items()
            for seed in seeds
            for path in self.scores(name, seed)
        ]

    def sections(self, *whole: str, **keys: Sequence[str]) -> str:
        """Return whole sections and single keys of others as one stable JSON string."""
        return json.dumps(
            {**json.loads(self.params(*whole)), **json.loads(self.fields(**keys))}, sort_keys=True
        )

    def baseline_options(self, name: str) -> str:
        """Return the options of a baseline as one stable JSON string."""
        return json.dumps(self.config.baselines.models[name].model_dump(mode="json"), sort_keys=True)

    def timed_baselines(self) -> str:
        """Return options and files of all baselines as one stable JSON string."""
        entries = {
            name: {"options": json.loads(self.baseline_options(name)), "files": self.baseline_files(name)}
            for name in self.baselines
        }
        return json.dumps(entries, sort_keys=True)

    def submission_clips(self, name: str) -> dict[str, list[str]]:
        """Return the frames that a baseline maps for SALICON's server: those of the validation and of the test shards.

        Raises
        ------
        ConfigError
            For other data sets, for baselines that learn from videos, or if no shard of either is left.
        """
        if self.config.dataset.name != "salicon":
            problem = f"a submission is for SALICON's server, which has no {self.ds}; use config/salicon.yaml"
        elif self._baseline(name).trained:
            problem = f"baselines.models: {name} learns from videos, and {self.ds} holds still images"
        elif not (self.test and self.blind):
            problem = (
                "dataset.only: a submission needs validation and test shards, such as val_00 and test_00"
            )
        else:
            return {"val": self.paths("frames", self.test), "test": self.paths("frames", self.blind)}
        raise ConfigError(problem)

    def baseline_code(self, name: str) -> str:
        """Return the module of a baseline, which is loaded by name only."""
        return f"baselines.{self._baseline(name).module}"

    def baseline_files(self, name: str) -> list[str]:
        """Return the files that a baseline needs: downloads, and the trained model of one that learns."""
        trained = (
            [f"results/{self.ds}/models/{name}/seed0/model.safetensors"]
            if self._baseline(name).trained
            else []
        )
        return self.downloads_of(name) + trained

    def cuts(self) -> list[str]:
        """Return the list of shot cuts that a trained baseline uses; only DIEM has one."""
        return ["results/baselines/raw/00_cuts.mat"] if self.config.dataset.name == "diem" else []

    def pair_videos(self) -> list[str]:
        """Return the videos that baselines learn from; Rudoy et al. leave out DIEM's twins, which differ in sound only."""
        return [video for video in self.train if "_no_voices_" not in video]

    def mirrors(self) -> str:
        """Return the mirror folders of the configuration and of DYNSAL_MIRROR, as jobs get them by that variable."""
        named = [*self.config.mirrors, *os.environ.get("DYNSAL_MIRROR", "").split(os.pathsep)]
        return os.pathsep.join(dict.fromkeys(name for name in named if name))

    def downloads_of(self, name: str) -> list[str]:
        """Return the downloads that a baseline needs."""
        return [f"results/baselines/raw/{file}" for file in self.config.baselines.models[name].files()]

    def _baseline(self, name: str) -> Entry:
        return REGISTRY[self.config.baselines.models[name].model]

    def trainings(self, name: str) -> list[str]:
        """Return one file (such as history.csv) of every training."""
        return [
            f"results/{self.ds}/models/{model}/seed{seed}/{name}"
            for model in self.models
            for seed in self.seeds
        ]


def _paper_order(model: ModelConfig) -> tuple[int, int]:
    """Sort rows as Table 1 does, whatever the order of the keys: spatial, temporal, late, early, augmented last.

    Nets that are not the paper's come first: the last row is the paper's best, which other tables compare.
    """
    return ["lite", "spatial", "temporal", "late", "early"].index(model.arch), len(model.augment)
