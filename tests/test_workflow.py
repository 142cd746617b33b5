"""What the workflow plans, for every profile and change of the configuration; and which code a step depends on."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml
from helpers import ROOT, SCRIPTS, copy_checkout, environment, snakemake
from snakemake import api
from snakemake.settings.types import Quietness

from dynsal import code_inputs, layout, shown, still_plan, workflow
from dynsal.config import ConfigError, load, parse, stage_json

DEMO = {
    "demo": 18, "rescale": 18, "flow": 18, "gaze": 18, "augment": 12, "floors": 1, "train": 5, "evaluate": 5,
    "table1_of": 1, "publish_table1": 1, "figure1_streams": 1, "figure2_fusion": 1, "figure3_flow": 1, "figure4_nets": 1, "curves": 1,
    "scores_figure": 1, "over_time": 1, "per_video": 1, "agreement": 1, "roc": 1, "all": 1,
}  # fmt: skip


@pytest.fixture
def here(tmp_path) -> Path:
    """Return a folder to plan in, so that the checkout's results are neither seen nor touched."""
    for name in ("config", "resources"):
        shutil.copytree(ROOT / name, tmp_path / name)
    return tmp_path


def planned(folder: Path, profile: str | None = None, targets=(), **overrides) -> list:
    """Return the jobs of a dry run of the checkout's Snakefile."""
    with api.SnakemakeApi(api.OutputSettings(quiet={Quietness.ALL})) as smk:
        flow = smk.workflow(
            snakefile=ROOT / "Snakefile",
            workdir=folder,
            resource_settings=api.ResourceSettings(cores=2),
            config_settings=api.ConfigSettings(
                configfiles=[folder / "config" / f"{profile}.yaml"] if profile else [], config=overrides
            ),
        )
        flow.dag(api.DAGSettings(targets=set(targets))).execute_workflow(executor="dryrun")
        return list(flow._workflow.dag.jobs)  # private; nowhere else


def count(jobs) -> Counter:
    return Counter(job.rule.name for job in jobs)


def outputs(jobs, rule: str) -> set[str]:
    return {str(path) for job in jobs if job.rule.name == rule for path in job.output}


def models(names) -> dict:
    return {name: {"arch": "early", "augment": augment} for name, augment in names.items()}


# ---- the plan -------------------------------------------------------------------------------------------------------


def test_demo(here):
    """Every step appears, as often as there are videos or models."""
    assert count(planned(here)) == DEMO
    assert not (here / "results").exists()


def test_one_more_model(here):
    """One train and one evaluate per seed, nothing else."""
    seeds, one = [0, 3], len(planned(here, models=models({"x": [1, 2, 4]})))
    # The demo's profile names no models (so these are all there are), and its defaults name five.
    two = planned(here, seeds=seeds, models=models({"x": [1, 2, 4], "y": [1]}))
    three = planned(here, seeds=seeds, models=models({"x": [1, 2, 4], "y": [1], "z": [1]}))
    assert len(two) == one + 2 * 3
    assert count(two) == {**DEMO, "train": 4, "evaluate": 4}
    assert count(three) == {**DEMO, "train": 6, "evaluate": 6}
    added = {str(path) for job in three for path in job.output} - {
        str(path) for job in two for path in job.output
    }
    assert {path.split("/seed")[0] for path in added} == {"results/demo/models/z", "results/demo/scores/z"}


def test_one_more_seed(here):
    """Five trainings and five evaluations more."""
    assert count(planned(here, seeds=[0, 1])) == {**DEMO, "train": 10, "evaluate": 10}


def test_augment_only_if_asked_for(here):
    """No low-resolution copies unless a model trains on them; then of the training videos and asked-for factors."""
    jobs = planned(here, models=models({"x": [1]}))
    assert count(jobs) == {**{k: v for k, v in DEMO.items() if k != "augment"}, "train": 1, "evaluate": 1}
    jobs = planned(here, models=models({"x": [1, 4]}))
    train = [video for video, role in layout.split("demo").items() if role == "train"]
    assert outputs(jobs, "augment") == {f"results/demo/augmented/x4/{video}.h5" for video in train}


def test_flow_only_where_needed(here):
    """Scoring one more time needs the test videos' flow only; `only` restricts every step."""
    train, test = "demo_still_02_480x360", ["demo_pan_06_640x360", "demo_crowd_05_480x360"]
    jobs = planned(here, dataset={"only": [train, *test]})
    assert outputs(jobs, "flow") == {f"results/demo/flow/{video}.h5" for video in [train, *test]}
    assert count(jobs)["augment"] == 1
    jobs = planned(here, targets=[f"results/demo/flow/{train}.h5"])
    assert count(jobs) == {"demo": 1, "rescale": 1, "flow": 1}
    jobs = planned(here, targets=[f"results/demo/scores/centre/seed0/{test[0]}.parquet"])
    assert not {"flow", "train"} & set(count(jobs))


def test_validation_videos_train_nothing(here):
    """They leave the training list and come back as inputs of every training."""
    video = "demo_pan_04_560x420"
    jobs = planned(here, dataset={"validation": [video]})
    assert count(jobs) == {**DEMO, "augment": 11}
    job = next(job for job in jobs if job.rule.name == "train")
    assert video not in job.params.videos
    assert job.params.validation == [video] or job.params.validation == video
    assert {f"results/demo/{step}" for step in ("frames", "flow", "gaze")} <= {
        str(path).rsplit("/", 1)[0] for path in job.input.validation
    }


@pytest.mark.parametrize(
    "target", ["data", "flows", "models", "table1", "figures", "table2", "figures2", "all_figures"]
)
def test_named_targets(here, target):
    jobs = count(planned(here, targets=[target]))
    last = {
        "data": "gaze",
        "flows": "flow",
        "models": "train",
        "table1": "publish_table1",
        "figures": "scores_figure",
        "table2": "publish_table2",
        "figures2": "speed",
        "all_figures": "still_figures",
    }
    assert jobs[last[target]]
    assert jobs["evaluate"] == {"table1": 5, "figures": 5, "table2": 1, "figures2": 5, "all_figures": 5}.get(
        target, 0
    )
    assert jobs["timings"] == (target in ("table2", "figures2", "all_figures"))


def test_table2(here):
    """One job per baseline and test video; of the nets only the last is trained; what learns sees training videos only."""
    jobs = planned(here, targets=["results/table2.csv"])
    found, roles = count(jobs), layout.split("demo")
    rows = load(ROOT / "config" / "config.yaml").baselines.models
    test = [video for video, role in roles.items() if role == "test"]
    assert found["baseline"] == len(rows) * len(test)
    assert found["train"] == found["evaluate"] == found["train_baseline"] == 1
    assert outputs(jobs, "train") > {"results/demo/models/early_aug/seed0/model.safetensors"}
    pairs = outputs(jobs, "pairs")
    assert {Path(path).stem for path in pairs} == {video for video, role in roles.items() if role == "train"}
    assert not found["download"]  # the demo needs no network


def test_rudoy_on_diem(here):
    """Trained on 62 of the 64 videos, around the cuts of the authors' list."""
    jobs = planned(here, "diem", targets=["results/table2.csv"])
    pairs = [job for job in jobs if job.rule.name == "pairs"]
    assert len(pairs) == 62
    assert not [job for job in pairs if "_no_voices_" in job.wildcards.video]
    assert all("results/baselines/raw/00_cuts.mat" in map(str, job.input) for job in pairs)


def test_another_baseline_option_scores_that_baseline_only(here):
    """Its rows alone change, and its own code is declared with them, not that of the others."""

    def parameters(**changes):
        jobs = planned(here, targets=["results/table2.csv"], **changes)
        return {
            (job.rule.name, job.wildcards_dict.get("baseline"), job.wildcards_dict.get("video")): str(
                job.params
            )
            for job in jobs
        }

    before = parameters()
    after = parameters(baselines={"models": {"pqft": {"model": "pqft", "variant": "guo"}}})
    changed = {key for key in before if before[key] != after[key]}
    assert {(rule, name) for rule, name, _ in changed} == {
        ("baseline", "pqft"), ("timings", None), ("table2_of", None),
    }  # fmt: skip
    for job in planned(here, targets=["results/table2.csv"]):
        if job.rule.name == "baseline" and job.wildcards.baseline == "pqft":
            code = {Path(path).name for path in job.input.code}
            assert {"pqft.py", "matlab.py"} <= code
            assert not {"gbvs.py", "icl.py", "itti.py"} & code


def test_published_profile_trains_nothing_anew(here):
    """On top of DIEM's: scoring changes, and Rudoy's pairs, whose features are in pixels of the frames it sees."""

    def parameters(**changes):
        jobs = planned(here, "diem", targets=["results/table2.csv"], **changes)
        return {(job.rule.name, str(job.wildcards_dict)): str(job.params) for job in jobs}

    profile = yaml.safe_load((here / "config" / "published.yaml").read_text())
    before, after = parameters(), parameters(**profile)
    assert set(after) < set(before)  # the four baselines whose figures are published
    changed = {rule for rule, wildcards in after if before[rule, wildcards] != after[rule, wildcards]}
    assert changed == {"baseline", "evaluate", "floors", "pairs", "table2_of", "timings"}


def test_diem(here):
    """All 84 videos; 64 train and 20 test, every one of the published list."""
    jobs = planned(here, "diem")
    expected = {**DEMO, **dict.fromkeys(("rescale", "flow", "gaze", "fetch_diem"), 84), "augment": 64}
    expected |= {"weights": 1, "download": 1}  # SalNet's
    del expected["demo"]
    assert count(jobs) == expected
    assert outputs(jobs, "fetch_diem") >= {
        f"results/diem/raw/{v}/video/{v}.mp4" for v in layout.diem_frames()
    }
    assert len(outputs(jobs, "evaluate")) == 5 * 20


def test_diem_from_the_command_line(here):
    """The whole command, not only the plan; a generous limit, the true figure is in benchmarks."""
    for name in ("Snakefile", "src", "workflow", "envs"):
        (here / name).symlink_to(ROOT / name)
    done = snakemake(here, "-n", "--quiet", "rules", "--configfile", "config/diem.yaml", timeout=120)
    assert done.rc == 0, done.text
    assert re.search(r"^fetch_diem +84$", done.text, re.MULTILINE)


def test_hevc33(here):
    """Each file once, the one with a space too, and the data base of gaze."""
    jobs = planned(here, "hevc33")
    files = {path for path in outputs(jobs, "download") if "/hevc33/" in path}
    assert len(files) == 34
    assert {
        "results/hevc33/raw/videos/Basketball Drive.avi",
        "results/hevc33/raw/video_database.mat",
    } <= files
    counts = count(jobs)
    seeds = len(load(ROOT / "config" / "hevc33.yaml").seeds)
    stills = 7  # shards for training: lite learns from OSIE's images first
    assert (counts["rescale"], counts["gaze"], counts["flow"]) == (33 + stills, 33 + stills, 33)
    assert counts["train"] == counts["evaluate"] == 6 * seeds
    assert (counts["finetune"], counts["predict_flow"]) == (seeds, 0)
    params = {job.wildcards.model: job.params for job in jobs if job.rule.name == "train"}
    shared = stage_json(load(ROOT / "config" / "hevc33.yaml"), "prepare", "gaze", "flow", "net", "train")
    assert all(params[name].cfg == shared for name in params if name != "lite")
    assert params["early"].model == '{"arch":"early","augment":[1]}'
    lite = json.loads(params["lite"].cfg)["net"]
    assert (lite["lite"]["zoom"], lite["init"].split("/")[3]) == (2, "lite_stills")
    assert workflow.Plan(load(ROOT / "config" / "hevc33.yaml")).models[-1] == "early_aug"


STEPS = {"download", "download_all", "salicon_points", "rescale", "gaze", "data"}
"""What still images may need; of downloads as many as there are files."""


def test_salicon(here):
    """Shards instead of videos, the blind ones without gaze; of the steps after the download, no flow and no copies."""
    jobs = planned(here, "salicon", targets=["data"])
    found = count(jobs)
    assert set(found) <= STEPS
    assert {name: found[name] for name in ("salicon_points", "rescale", "gaze")} == {
        "salicon_points": 2, "rescale": 40, "gaze": 30,
    }  # fmt: skip
    assert outputs(jobs, "download") == {
        f"results/salicon/raw/{name}"
        for name in ("images.zip", "fixations_train2014.json.zip", "fixations_val2014.json.zip")
    }


@pytest.mark.parametrize(
    ("profile", "overrides", "jobs"),
    [
        (None, {}, {"demo": 18}),
        ("diem", {}, {"fetch_diem": 84, "download": 1}),  # SalNet's weights
        ("diem", {"net": {"init": "he"}}, {"fetch_diem": 84}),
        ("diem", {"baselines": {"models": {"x": {"model": "icl"}}}}, {"fetch_diem": 84, "download": 2}),
        ("diem", {"dataset": {"source": "stavis", "split": "stavis17"}}, {"fetch_stavis": 1, "download": 1}),
        ("hevc33", {}, {"download": 34, "download_all": 1}),  # and the stills that lite starts from
        ("salicon", {}, {"download": 3}),
        ("salicon", {"dataset": {"release": "2017"}}, {"download": 2}),
        ("osie", {}, {"download_all": 1}),
    ],
)
def test_downloads_alone(here, profile, overrides, jobs):
    """What a cluster's login node has to do: nothing is prepared or computed there."""
    overrides = {"baselines": {"models": {}}, **overrides}
    assert count(planned(here, profile, targets=["downloads"], **overrides)) == {**jobs, "downloads": 1}


def test_salicon_submission(here):
    """One job over both splits the server wants, of frames only; with its own model's code."""
    target = "results/salicon/submission/spectral_residual/results.zip"
    jobs = planned(here, "salicon", targets=[target], baselines={"size": [160, 120]})
    assert count(jobs) == {"submission": 1, "rescale": 20, "download": 1}
    [job] = [job for job in jobs if job.rule.name == "submission"]
    for part in ("val", "test"):
        clips = [f"results/salicon/frames/{part}_{number:02d}.h5" for number in range(10)]
        assert list(job.input[part]) == clips
    declared = {Path(path).name for path in job.input.code}
    assert {"submission.py", "salicon_export.py", "spectral.py"} <= declared
    assert "gbvs.py" not in declared
    assert "--size 160 120" in job.shellcmd


@pytest.mark.parametrize(
    ("name", "only", "message"),
    [
        ("rudoy", [], "rudoy learns from videos, and salicon holds still images"),
        ("pqft", ["train_00", "val_00"], "a submission needs validation and test shards"),
        ("pqft", ["train_00", "test_00"], "a submission needs validation and test shards"),
    ],
)
def test_submissions_that_cannot_be(name, only, message):
    config = parse({"dataset": {"name": "salicon", "split": "salicon", "only": only}})
    with pytest.raises(ConfigError, match=message):
        workflow.Plan(config).submission_clips(name)


def test_salicon_releases_share_images_only(here):
    """Originals come to one folder, everything that is made of them to two."""
    jobs = planned(here, "salicon", targets=["data"], dataset={"release": "2017"})
    assert set(count(jobs)) <= STEPS - {"salicon_points"}
    assert outputs(jobs, "download") == {
        f"results/salicon/raw/{name}" for name in ("images.zip", "fixations_2017.zip")
    }
    made = outputs(jobs, "rescale") | outputs(jobs, "gaze")
    assert len(made) == 70
    assert all(path.startswith("results/salicon2017/") for path in made)
    assert not made & {str(path) for job in planned(here, "salicon", targets=["data"]) for path in job.output}


def test_osie(here):
    """All nine shards, from one manifest."""
    (here / "results/osie/raw").mkdir(parents=True)
    (here / "results/osie/raw/manifest.json").write_text("{}")
    jobs = count(planned(here, "osie", targets=["data"]))
    assert set(jobs) <= STEPS
    assert jobs["rescale"] == jobs["gaze"] == 9


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (
            "results/table1.csv",
            "osie holds still images, and Table 1 compares models on videos; ask for `data`",
        ),
        ("flows", "osie holds still images, which have no optical flow"),
        ("models", "osie holds still images, which have no optical flow"),
        (
            "results/osie/submission/pqft/results.zip",
            "a submission is for SALICON's server, which has no osie; use config/salicon.yaml",
        ),
    ],
)
def test_what_stills_have_not_is_refused(here, target, message):
    """Refused while planning, with the reason."""
    words = ("-n", "--snakefile", ROOT / "Snakefile", "--configfile", "config/osie.yaml", "--", target)
    done = snakemake(here, *words)
    assert done.rc == 1
    assert message in done.text
    assert "Job stats" not in done.text


def test_frames_are_never_jobs(here):
    """The unit of work is a video, or a model and a seed."""
    assert max(len(job.output) for job in planned(here, "diem")) < 5 * 84


def test_files_are_compared_with_few_outputs(here):
    """Snakemake tries every output that begins like a file; those of all videos must not begin with `results/{ds}`."""
    for profile in ("diem", "osie"):
        for rule in planned(here, profile, ["data"])[0].dag.rules:
            begin_alike = [path for path in rule.products() if path.constant_prefix() == "results/"]
            assert len(begin_alike) <= 8, rule.name
            if rule.name not in ("demo", "fetch_diem", "download"):  # of data sets whose files are known
                assert all(len(path) < 1000 for path in begin_alike), rule.name


def test_every_rule_declares_its_code(here):
    """Script and modules are inputs, so that an edit reruns what it can change; every job has a log."""
    for job in planned(here, targets=["all", "table2", "all_figures"]):
        if job.rule.name in ("all", "table2", "all_figures", "publish_table1", "publish_table2"):
            continue
        name = Path(str(job.input.script)).stem
        assert Path(here, str(job.input.script)).resolve() == SCRIPTS.resolve() / f"{name}.py"
        declared = {Path(here, path).resolve() for path in job.input if str(path).endswith(".py")}
        assert declared >= {Path(path).resolve() for path in code_inputs.code(SCRIPTS / f"{name}.py")}
        assert len(job.log) == 1


# ---- wrong configurations -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "messages"),
    [
        (
            {"train": {"base_lrr": 0.1, "momentum": 2}},
            ["train.base_lrr: Extra inputs", "train.momentum: Input should be less"],
        ),
        ({"train": {"base_lr": "1e-3"}}, ["train.base_lr: Input should be a valid number (found '1e-3')"]),
        ({"modles": {}, "seeds": []}, ["modles: Extra inputs", "seeds: List should have at least 1"]),
        (
            {"dataset": {"only": ["nosuch"], "validation": ["demo_still_06_640x480"]}},
            [
                "dataset.only: nosuch is not in",
                "demo_still_06_640x480 is a test video",
                "no training video is left",
            ],
        ),
        (
            {"dataset": {"split": "nosuch"}},
            ["nosuch.csv: there is no such list", "Known here: borji20, demo, demo_stills, hevc33"],
        ),
        ({"prepare": {"size": [130, 96]}}, ["multiples of 4; use [128, 96]"]),
    ],
)
def test_wrong_configuration(here, change, messages):
    """One message with all errors, and no traceback; nothing is planned."""
    config = yaml.safe_load((here / "config" / "config.yaml").read_text())
    for section, values in change.items():
        config[section] = {**config.get(section, {}), **values} if isinstance(values, dict) else values
    (here / "mine.yaml").write_text(yaml.safe_dump(config))
    done = snakemake(here, "-n", "--snakefile", ROOT / "Snakefile", "--configfile", "mine.yaml")
    assert done.rc == 1
    assert done.text.count("WorkflowError") == 1
    for message in messages:
        assert message in done.text
    assert "Traceback" not in done.text
    assert "Job stats" not in done.text


# ---- code -----------------------------------------------------------------------------------------------------------

_LOADED = """
import json, os, runpy, sys
import av, cv2, h5py, matplotlib.pyplot, pandas, pyarrow.parquet, pydantic, safetensors.torch, scipy.ndimage, torch, tqdm
for path, *names in json.loads(sys.argv[1]):
    assert not [name for name in sys.modules if name.split(".")[0] == "dynsal"]
    if not (child := os.fork()):
        status = 1
        try:
            runpy.run_path(path, run_name="imported")
            for name in names:
                __import__(name)
            print(json.dumps([path, *(name for name in sys.modules if name.split(".")[0] == "dynsal")]), flush=True)
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0, path
"""
BY_NAME = dict.fromkeys(("rescale", "gaze", "flow"), ("datasets.demo",))
"""What scripts load by name, so that no import statement shows it."""


def modules(paths) -> set[str]:
    """Return module names of paths in src/."""
    names = (Path(path).resolve().relative_to(ROOT / "src").with_suffix("").parts for path in paths)
    return {".".join(parts[:-1] if parts[-1] == "__init__" else parts) for parts in names}


@pytest.fixture(scope="module")
def loaded() -> dict[str, set[str]]:
    """Return script -> the dynsal modules that Python itself loads for it."""
    tasks = [
        [str(path), *(f"dynsal.{name}" for name in BY_NAME.get(path.stem, ()))]
        for path in sorted(SCRIPTS.glob("*.py"))
    ]
    words = [sys.executable, "-c", _LOADED, json.dumps(tasks)]
    done = subprocess.run(
        words, env=environment(PYTHONPATH=str(ROOT / "src")), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {Path(path).stem: set(names) for path, *names in lines}


def test_code_holds_what_python_loads(loaded):
    """Compared with what is in sys.modules once a script is imported."""
    neutral = {"dynsal", *(f"dynsal.{name}" for name in code_inputs._NEUTRAL)}
    assert set(loaded) == {path.stem for path in SCRIPTS.glob("*.py")}
    for name, seen in loaded.items():
        declared = modules(code_inputs.code(SCRIPTS / f"{name}.py", *BY_NAME.get(name, ())))
        assert not (seen - neutral) - declared, name
        assert not declared & neutral, name


@pytest.mark.parametrize(
    ("script", "has", "lacks"),
    [
        ("train", ["nets", "nets.salnet", "nets.two_stream", "nets.weights", "training", "samples", "gaze", "clips", "losses"],
         ["figures", "tables", "statistics", "metrics", "evaluation", "inference", "datasets"]),
        ("weights", ["nets.weights", "nets.imports", "nets.caffe"], ["training", "figures", "metrics", "samples"]),
        ("rescale", ["video", "prepare", "clips", "datasets.demo", "datasets.diem"], ["nets", "training", "flow", "figures", "metrics"]),
        ("flow", ["flow", "clips", "prepare", "video"], ["nets", "training", "figures", "metrics"]),
        ("gaze", ["gaze", "clips", "datasets.diem"], ["nets", "training", "flow", "figures", "metrics"]),
        ("evaluate", ["nets.salnet", "nets.two_stream", "inference", "evaluation", "metrics", "pools"], ["figures", "tables", "statistics"]),
        ("table1", ["tables", "statistics", "metrics"], ["nets", "training", "figures", "gaze"]),
        ("curves", ["figures"], ["training"]),
    ],
)  # fmt: skip
def test_code_of_a_script(script, has, lacks):
    found = modules(code_inputs.code(SCRIPTS / f"{script}.py", *BY_NAME.get(script, ())))
    assert {f"dynsal.{name}" for name in has} <= found
    assert not [
        name for name in found if any(name == f"dynsal.{n}" or name.startswith(f"dynsal.{n}.") for n in lacks)
    ]


def imported(file: Path) -> set[Path]:
    """Return the modules of ours that a file imports or names, by Python's own parser."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Constant) and re.fullmatch(r"dynsal(\.\w+)+", str(node.value)):
            names.add(node.value)
    parts = [name.split(".") for name in names if name and name.startswith("dynsal.")]
    bases = {ROOT.joinpath("src", *words[:end]) for words in parts for end in range(2, len(words) + 1)}
    files = {path for base in bases for path in (base.with_suffix(".py"), base / "__init__.py")}
    return {path for path in files if path.is_file()}


def test_imports_are_those_that_a_parser_finds():
    """In every file of the package and every script."""
    files = [*(ROOT / "src").rglob("*.py"), *SCRIPTS.glob("*.py")]
    assert len(files) > 200
    assert {file: set(code_inputs.imports(file)) for file in files} == {
        file: imported(file) for file in files
    }


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("from dynsal.nets import (  # some\n    build as b,  # roc\n    salnet,\n)", {"nets/__init__.py", "nets/salnet.py"}),
        ("    from dynsal import flow as roc, gaze\n", {"flow.py", "gaze.py"}),
        ("import dynsal.datasets.demo as demo, dynsal.roc", {"datasets/__init__.py", "datasets/demo.py", "roc.py"}),
        ("load('dynsal.nets.lite')", {"nets/__init__.py", "nets/lite.py"}),
        ("from other.dynsal import roc\nx = 'dynsal.no.such'\n# import dynsal.roc", set()),
    ],
)  # fmt: skip
def test_imports_of_a_text(tmp_path, line, found):
    file = tmp_path / "module.py"
    file.write_text(line)
    assert code_inputs.imports(file) == {ROOT / "src/dynsal" / name for name in found}


def test_code_paths(tmp_path, monkeypatch):
    """Sorted, and relative to the working directory, so that a checkout can be moved."""
    monkeypatch.chdir(ROOT)
    found = code_inputs.code(Path("workflow/scripts/gaze.py"), "datasets.demo")
    assert found == sorted(found)
    assert all(path.startswith("src/dynsal/") for path in found)
    assert "src/dynsal/datasets/demo.py" in found
    assert "src/dynsal/datasets/demo.py" not in code_inputs.code(Path("workflow/scripts/gaze.py"))


# ---- Plan -----------------------------------------------------------------------------------------------------------


def test_plan():
    plan = workflow.Plan(parse({"seeds": [4, 2], "dataset": {"validation": ["demo_pan_04_560x420"]}}))
    roles = layout.split("demo")
    assert plan.ds == "demo"
    assert set(plan.videos) == set(roles)
    assert plan.validation == ["demo_pan_04_560x420"]
    assert set(plan.test) == {video for video, role in roles.items() if role == "test"}
    assert not set(plan.train) & {*plan.test, *plan.validation}
    assert plan.seeds == [4, 2]
    assert plan.models == ["spatial", "temporal", "late", "early", "early_aug"]
    assert plan.floors == ["centre", "uniform", "mean_map", "human", "oracle"]
    assert plan.all_factors() == [2, 4]
    assert plan.path("gaze", "v") == "results/demo/gaze/v.parquet"
    assert plan.path("flow", "v") == "results/demo/flow/v.h5"
    video = plan.test[0]
    assert plan.raw_gaze(video) == [f"results/demo/raw/{video}/manifest.json"]
    for ask in (plan.raw_video, plan.raw_gaze, plan.flow_source):
        with pytest.raises(ConfigError, match="demo has no video v"):
            ask("v")
    assert len(plan.training_clips("early")) == 2 * len(plan.train)
    assert len(plan.training_clips("early_aug")) == 4 * len(plan.train)
    assert plan.trainings("history.csv")[:2] == [
        f"results/demo/models/spatial/seed{s}/history.csv" for s in (4, 2)
    ]
    assert len(plan.all_scores()) == len(plan.test) * (5 + 5 * 2)
    assert len(set(plan.all_scores())) == len(plan.all_scores())


def test_nets_of_table_2():
    """The paper's best, and ours beside it; others do not crowd it."""
    assert workflow.Plan(load(ROOT / "config" / "config.yaml")).subjects() == ["early_aug"]
    plan = workflow.Plan(load(ROOT / "config" / "hevc33.yaml"))
    assert plan.subjects() == ["early_aug", "lite"]
    assert list(plan.compared())[:3] == ["early_aug", "lite", "rudoy"]
    assert plan.compared()["lite"] == plan.seeds


def test_plan_without_oracle():
    """Only the demo knows the true density; hevc33 has one file of gaze for all videos."""
    plan = workflow.Plan(parse({"dataset": {"name": "hevc33", "split": "hevc33"}}))
    assert "oracle" not in plan.floors
    assert plan.truth("Kimono") == []
    assert plan.raw_video("BasketballDrive") == [
        "results/hevc33/raw/videos/Basketball Drive.avi", "results/hevc33/raw/video_database.mat",
    ]  # fmt: skip
    assert {row.file for row in layout.registry("hevc33")} >= {
        layout.hevc33_file(video) for video in plan.videos
    }


def test_plan_model_on_copies_only():
    plan = workflow.Plan(parse({"models": models({"x": [2]})}))
    assert {path.split("/")[3] for path in plan.training_clips("x")} == {"x2"}


def test_plan_of_stills():
    """The blind shards stand apart; they and the validation's role do not mix; one test shard is enough."""
    salicon = {"name": "salicon", "split": "salicon"}
    plan = workflow.Plan(parse({"dataset": salicon}))
    assert (plan.ds, plan.stills, len(plan.train), len(plan.test), len(plan.blind)) == (
        "salicon",
        True,
        20,
        10,
        10,
    )
    assert not {*plan.videos} & {*plan.blind}
    assert plan.raw_gaze("val_03") == [
        "results/salicon/raw/points/val.parquet",
        "results/salicon/raw/images.zip",
    ]
    few = workflow.Plan(parse({"dataset": {**salicon, "only": ["train_00", "val_00", "test_03"]}}))
    assert (few.videos, few.blind) == (["train_00", "val_00"], ["test_03"])
    with pytest.raises(ConfigError, match="test_03 is a test video"):
        workflow.Plan(parse({"dataset": {**salicon, "validation": ["test_03"]}}))
    later = workflow.Plan(parse({"dataset": {**salicon, "release": "2017"}}))
    assert later.ds == "salicon2017"
    assert later.raw_gaze("val_03")[0] == "results/salicon/raw/fixations_2017.zip"
    assert later.path("gaze", "val_03") == "results/salicon2017/gaze/val_03.parquet"
    videos = workflow.Plan(parse({"dataset": {"name": "hevc33", "split": "hevc33", "release": "2017"}}))
    assert (videos.ds, videos.stills, videos.blind) == ("hevc33", False, [])


def test_plan_lists_all_problems():
    with pytest.raises(ConfigError) as caught:
        workflow.Plan(parse({"dataset": {"only": ["a", "b"], "validation": ["demo_still_06_640x480"]}}))
    assert len(str(caught.value).splitlines()) == 5


# ---- Table 3 --------------------------------------------------------------------------------------------------------

TABLE3 = {
    "demo": 18, "demo_stills": 4, "rescale": 22, "flow": 12, "gaze": 16, "motion": 18, "codebook": 1, "train_static_flow": 1,
    "score_static_flow": 1, "predict_flow": 4, "train": 2, "finetune": 7, "still_evaluate": 7, "still_baseline": 3,
    "still_floors": 1, "table3_of": 1, "publish_table3": 1,
}  # fmt: skip


def test_table3_of_the_demo(here):
    """Only the nets that others start from are trained on videos; nothing is downloaded."""
    jobs = planned(here, targets=["results/table3.csv"])
    assert count(jobs) == TABLE3
    assert outputs(jobs, "train") == {
        f"results/demo/models/{name}/seed0/{file}"
        for name in ("early", "spatial")
        for file in ("model.safetensors", "history.csv", "provenance.json")
    }


def test_table3_of_osie(here):
    """Seeds start from the weights of their own seed; nets without motion wait for no prediction."""
    jobs = planned(here, "hevc33", ["results/table3.csv"])
    found = count(jobs)
    assert (found["finetune"], found["still_evaluate"], found["train"]) == (24, 24, 6)
    assert (found["motion"], found["predict_flow"], found["still_baseline"]) == (33, 9, 6)
    for job in jobs:
        if job.rule.name == "finetune":
            net, seed = job.wildcards.net, job.wildcards.seed
            starts = [str(path) for path in job.input if "hevc33/models" in str(path)]
            wanted = {
                **dict.fromkeys(("deep", "shallow", "early_scratch", "lite_stills")),
                "spatial": "spatial",
            }.get(net, "early_aug")
            assert starts == (
                [f"results/hevc33/models/{wanted}/seed{seed}/model.safetensors"] if wanted else []
            )
            moving = any("osie/flow" in str(path) for path in job.input)
            assert moving == (net in ("early", "early_scratch", "early_video"))
            assert not any("test_0" in str(path) for path in job.input)


def test_a_net_that_starts_from_still_images(here):
    """Table 1 then waits for the still images, and each seed for the net of its own seed; other nets do not."""
    first = {"arch": "spatial", "net": {"width": 0.25}, "train": {"max_iters": 3}}
    jobs = planned(
        here,
        "hevc33",
        ["results/table1.csv"],
        models={
            "spatial": {"arch": "spatial", "start": "first", "net": {"width": 0.25}},
            "early": {"arch": "early"},
        },
        transfer={"models": {"first": first}},
    )
    found = count(jobs)
    seeds = load(ROOT / "config" / "hevc33.yaml").seeds
    assert (found["train"], found["finetune"], found["still_evaluate"]) == (6 * len(seeds), 2 * len(seeds), 0)
    for job in jobs:
        if job.rule.name == "finetune" and job.wildcards.net == "first":
            told = json.loads(job.params.cfg)
            assert (told["net"]["width"], told["net"]["init"], told["train"]["max_iters"]) == (0.25, "he", 3)
        elif job.rule.name == "train" and job.wildcards.model != "lite":
            wanted = f"results/osie/models/first/seed{job.wildcards.seed}/model.safetensors"
            starts = job.wildcards.model == "spatial"
            assert [str(path) for path in job.input if "osie" in str(path)] == ([wanted] if starts else [])
            assert json.loads(job.params.cfg)["net"]["init"] == (wanted if starts else "he")
            assert "start" not in job.params.model
    assert any("osie" in path for path in outputs(planned(here, "hevc33", ["downloads"]), "download_all"))
    none = {"lite": {"arch": "lite", "start": None}}
    jobs = planned(here, "hevc33", ["downloads"], models=none)
    assert not any("osie" in path for path in outputs(jobs, "download_all"))


def test_table3_of_salicon(here):
    """The paper's: Walker et al.'s codebook, SalNet's weights for Deep Conv, the blind shards only on request."""
    jobs = planned(here, "diem", ["results/table3.csv"], dataset={"split": "stavis17"})
    assert "results/baselines/raw/clusters.mat" in outputs(jobs, "download")
    assert not any("test_0" in path for path in outputs(jobs, "rescale"))
    everything = planned(here, "diem", ["stills"], dataset={"split": "stavis17"})
    assert any("results/salicon/frames/test_0" in path for path in outputs(everything, "rescale"))
    sent = planned(
        here, "diem", ["results/salicon/submission/early.seed0/results.zip"], dataset={"split": "stavis17"}
    )
    (job,) = (job for job in sent if job.rule.name == "still_submission")
    assert "results/diem/static_flow/model.safetensors" in {str(path) for path in job.input}
    assert sum("frames/test_" in str(path) for path in job.input) == 10


@pytest.mark.parametrize(
    ("transfer", "problem"),
    [
        (None, "needs the section transfer"),
        ({"models": {"x": {"arch": "early", "start": "nobody"}}}, "there is no nobody in section models"),
        ({"models": {"x": {"arch": "early", "start": "spatial"}}}, "is of arch spatial, not early"),
        ({"models": {"human": {"arch": "early"}}}, "taken by a floor"),
        ({"models": {"x": {"arch": "spatial", "start": "salnet"}}}, "needs net.width 1.0"),
        ({"models": {"x": {"arch": "spatial", "net": {"wide": 1}}}}, r"transfer\.models\.x: wide"),
        ({"models": {"x": {"arch": "lite"}}}, r"transfer\.models\.x: arch lite gives logarithms"),
        ({"train": {"loss": "kld"}}, r"train\.loss kld does not go with net\.coding salnet"),
    ],
)
def test_what_is_wrong_is_told_by_table3_alone(transfer, problem):
    given = {"net": {"width": 0.5}, "transfer": transfer}
    workflow.Plan(parse(given))
    with pytest.raises(ConfigError, match=problem):
        still_plan.StillPlan(parse(given))


@pytest.mark.parametrize(
    "transfer",
    [
        {"dataset": {"name": "hevc33", "split": "hevc33"}},
        {"size": [30, 40]},
        {"models": {"x": {"arch": "early", "finetune": False}}},
        {"baselines": {"x": {"model": "rudoy"}}},
        {"baselines": {"early": {"model": "itti"}}},
    ],
)
def test_section_transfer_refuses(transfer):
    with pytest.raises(ConfigError, match="transfer"):
        parse({"transfer": transfer})


# ---- style ----------------------------------------------------------------------------------------------------------


def test_lint(tmp_path):
    """Snakemake's own linter has nothing to say; nor does snakefmt."""
    checkout = copy_checkout(tmp_path / "checkout")
    done = snakemake(checkout, "--lint")
    assert done.rc == 0, done.text


def test_format():
    done = subprocess.run(
        [sys.executable, "-m", "snakefmt", "--check", "Snakefile", "workflow"],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


# ---- the report -----------------------------------------------------------------------------------------------------


SHOWN = {"report", "viewer", "viewer_clip", "viewer_page", "table_page", "provenance_page", "runtimes_page"}
"""What the report needs beside tables and figures."""


def files(jobs) -> set[str]:
    return {str(path) for job in jobs for path in job.output}


def test_report_adds_no_training(here):
    """Beside the tables and their figures only pages; the viewer shows every one of the six test videos."""
    tables = ["table1", "figures", "table2", "figures2", "table3", "figures3"]
    before, after = planned(here, targets=tables), planned(here, targets=["report"])
    added = {job.rule.name for job in after if not {str(path) for path in job.output} <= files(before)}
    assert added | {"report"} == SHOWN
    work = ("train", "finetune", "train_baseline", "evaluate", "baseline", "flow", "still_evaluate")
    assert {name: count(after)[name] for name in work} == {name: count(before)[name] for name in work}
    found = count(after)
    assert (found["viewer_clip"], found["viewer_page"], found["viewer"]) == (6, 6, 1)
    assert (found["table_page"], found["provenance_page"], found["runtimes_page"]) == (3, 3, 2)


def test_report_of_table_1(here):
    """Without baselines and still images, whether they are left out or not there at all."""
    jobs = planned(here, targets=["report1"])
    assert count(jobs) == {
        **{name: number for name, number in DEMO.items() if name not in ("all", "publish_table1")},
        **{"report1": 1, "viewer_clip": 6, "viewer_page": 6, "viewer": 1},
        **dict.fromkeys(("table_page", "provenance_page", "runtimes_page"), 1),
    }
    (here / "config" / "bare.yaml").write_text("baselines: {models: {}}")
    bare = count(planned(here, "bare", targets=["report"]))
    assert bare == count(jobs) + Counter({"report": 1}) - Counter({"report1": 1})


def test_viewer_of_many_videos_and_seeds(here):
    """Eight of DIEM's twenty test videos, evenly spread; of the nets the first seed alone."""
    jobs = planned(here, "diem", targets=["report1"], seeds=[3, 1])
    plan = workflow.Plan(load(ROOT / "config" / "diem.yaml"))
    shown = [job.wildcards.video for job in jobs if job.rule.name == "viewer_clip"]
    assert set(shown) == {plan.test[place] for place in (0, 2, 5, 7, 10, 12, 15, 17)}
    [job] = [job for job in jobs if job.rule.name == "viewer_clip" and job.wildcards.video == plan.test[0]]
    assert len(job.input.models) == 5
    assert all("/seed3/" in str(path) for path in job.input.models)
    runs = {**dict.fromkeys(plan.models, 3), "centre": 0, "human": 0}
    assert [str(path).split("/")[3:5] for path in job.input.scores] == [
        [name, f"seed{seed}"] for name, seed in runs.items()
    ]


def test_a_change_of_a_page_computes_nothing_anew(here):
    """Templates and styles are inputs of pages alone."""
    for job in planned(here, targets=["report"]):
        declared = {Path(path).name for path in job.input if "dynsal/web/" in str(path)}
        assert bool(declared & {"viewer.js", "page.css"}) == job.rule.name.endswith(("_page", "viewer"))
        if job.rule.name in ("train", "evaluate", "flow", "table1_of", "viewer_clip"):
            assert not {"pages.py", "page.html"} & {Path(path).name for path in job.input}


@pytest.mark.parametrize("count_", [1, 2, 7, 8, 9, 20])
def test_viewed(count_):
    """All, or so many that are in order, different, and begin with the first."""
    plan = workflow.Plan(load(ROOT / "config" / "config.yaml"))
    plan.test = [str(number) for number in range(count_)]
    videos = shown.viewed(plan)
    assert len(videos) == len(set(videos)) == min(8, count_)
    assert videos == sorted(videos, key=int)
    assert videos[0] == "0"


def test_what_pictures_show():
    """Of an architecture the first model that has it; of Table 3 the first net, and one that knows nothing of the videos."""
    plan = workflow.Plan(parse({"seeds": [4, 2], "models": models({"x": [2], "y": [1]})}))
    assert shown.drawn(plan, "early", "late") == ["early=x", "late"]
    assert shown.first_seed(plan, "model.safetensors") == [
        f"results/demo/models/{name}/seed4/model.safetensors" for name in "xy"
    ]
    assert shown.last_scores(plan)[0].startswith("results/demo/scores/y/seed4/")
    stills = still_plan.StillPlan(load(ROOT / "config" / "config.yaml"))
    assert stills.shown_nets() == ["early", "deep"]
