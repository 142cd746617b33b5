# Shared by all rules. Needs: the configuration. Makes: smk_plan (names and paths) and the smk_ input functions.
import functools
import json
import os
import re
import shlex
import sys
from pathlib import Path

# A fresh clone works without an installation: jobs find the module in src/, also inside conda environments.
sys.path.insert(0, f"{workflow.basedir}/src")

from dynsal import layout, shown, space
from dynsal import code_inputs as smk_inputs
from dynsal.config import ConfigError
from dynsal.errors import DataError

# Imported under names of their own: rule files share one namespace with Snakemake itself.
from dynsal.config import parse as smk_parse
from dynsal.datasets import reader as smk_reader
from dynsal.job_batches import FIELDS as smk_fields
from dynsal.job_batches import batches as smk_batches
from dynsal.still_plan import StillPlan
from dynsal.workflow import Plan

try:
    smk_config = smk_parse(config)
    smk_plan = Plan(smk_config)
except (ConfigError, DataError) as error:
    raise WorkflowError(str(error)) from None

DS = smk_plan.ds

# Mirror folders come by the environment, not by params: another one makes no finished download wrong.
shell.prefix(
    "set -euo pipefail; export OPENBLAS_NUM_THREADS=1 "
    f"PYTHONPATH='{workflow.basedir}/src'${{{{PYTHONPATH:+:$PYTHONPATH}}}} DYNSAL_MIRROR={shlex.quote(smk_plan.mirrors())}; "
)
try:
    smk_still = StillPlan(smk_config)  # of Table 3's still images
except (ConfigError, DataError):
    smk_still = None  # told when Table 3 is asked for: nobody else has to care

smk_plans = {plan.ds: plan for plan in (smk_still, smk_plan) if plan}
smk_any_video = "|".join(
    re.escape(video) for plan in smk_plans.values() for video in [*plan.videos, *plan.blind]
)
# The data set whose videos are a job each; none where several share one.
smk_single = DS if smk_plan.batch == 1 else r"(?!)"
smk_dataset = f"datasets.{smk_reader(smk_plan.config.dataset)}"


def smk_relative(path):
    """Relative to the working directory, so that a checkout moved or copied with its results runs nothing again."""
    return os.path.relpath(f"{workflow.basedir}/{path}")


def smk_script(name):
    return smk_relative(f"workflow/scripts/{name}.py")


@functools.cache  # asked by every job
def smk_code(name, *modules):
    return smk_inputs.code(Path(smk_script(name)), *modules)


def smk_pictures(ds, *names):
    return [f"results/{ds}/figures/{name}.{kind}" for name in names for kind in ("png", "pdf")]


smk_figures = smk_pictures(
    DS,
    "figure1_streams",
    "figure2_fusion",
    "figure3_flow",
    "figure4_nets",
    "scores",
    "per_video",
    "over_time",
    "curves",
    "roc",
    "agreement",
)
smk_figures2 = smk_pictures(DS, "figure5_baselines", "speed")


# Data sets fetched file by file, and files of those; many small files are one job (rule download_all) instead.
smk_one_by_one = ["baselines", "hevc33", "salicon", "weights"]
smk_registered = "|".join(re.escape(row.file) for ds in smk_one_by_one for row in layout.registry(ds))


def smk_size(plan):
    size = plan.config.baselines.size
    return " ".join(["--size", *map(str, size)]) if size else ""


smk_baseline_size = smk_size(smk_plan)


def smk_results(wildcards):
    return f"results/{DS}"


def smk_still_results(wildcards):
    return f"results/{smk_still.ds}"


def smk_test(step):
    """Input function: listed by the rules that run only, as every job parses all of them."""
    return lambda wildcards: smk_plan.paths(step, smk_plan.test)


def smk_of(wildcards):
    return smk_plans[wildcards.ds]


def smk_dataset_of(wildcards):
    return f"datasets.{smk_reader(smk_of(wildcards).config.dataset)}"


def smk_raw(wildcards):
    return smk_of(wildcards).raw


def smk_salicon(wildcards):
    return next(plan for plan in smk_plans.values() if plan.config.dataset.name == "salicon")


def smk_still_data():
    plan = smk_still or StillPlan(smk_config)  # which says what is missing
    return plan.paths("frames", [*plan.videos, *plan.blind]) + plan.paths("gaze", plan.videos)


def smk_still_figures():
    plan = smk_still or StillPlan(smk_config)
    stills = smk_pictures(plan.ds, "figure6_predicted_motion", "figure7_stills")
    return stills + smk_pictures(DS, "motion")


def smk_shown(picture, title):
    """Return a picture's PNG, marked for the report, and its PDF."""
    name = picture.rsplit("/", 1)[1]
    shown = report(
        f"{picture}.png",
        category="3 Figures",
        labels={"figure": title, "data set": "{ds}"},
        caption=f"../report/{name}.rst",
    )
    return [shown, f"{picture}.pdf"]


# The report: what it shows.
smk_viewed = shown.viewed(smk_plan)

# Pages of a table: data set, CSV files to unfold, and the files whose checksums are told.
smk_paged = {"1": (DS, ["per_video", "differences"])}
if smk_plan.baselines:
    smk_paged["2"] = (DS, ["against_best", "per_video", "differences"])
if smk_still:
    smk_paged["3"] = (smk_still.ds, ["ablation", "per_image", "differences"])


def smk_hashed(wildcards):
    """Return the files whose checksums a provenance page tells: gaze and frames of all videos, and all weights."""
    plan = smk_plans[wildcards.ds]
    models = plan.models if wildcards.n != "2" else plan.models[-1:]
    trained = [
        f"results/{plan.ds}/models/{model}/seed{seed}/model.safetensors"
        for model in models
        for seed in plan.seeds
    ]
    return plan.paths("gaze", plan.videos) + plan.paths("frames", plan.videos) + trained


def smk_web(*names):
    return [smk_relative(f"src/dynsal/web/{name}") for name in names]


smk_page = smk_web("base.css", "page.css", "page.html", "page.js")
smk_viewer = smk_web("base.css", "viewer.css", "viewer.html", "viewer.js")


def smk_reported(*numbers):
    """Return what the report shows of some tables: their pages and figures, runtimes, and the viewer."""
    figures = {
        "1": lambda: smk_figures,
        "2": lambda: smk_figures2,
        "3": smk_still_figures,
    }
    told = {n: ds for n, (ds, _) in smk_paged.items() if n in numbers}
    return [
        *(
            f"results/{ds}/report/{page}{n}.html"
            for n, ds in told.items()
            for page in ("table", "provenance")
        ),
        *(path for n in told for path in figures[n]()),
        *(f"results/{ds}/report/runtimes{n}.html" for ds, n in {ds: n for n, ds in told.items()}.items()),
        f"results/{DS}/viewer.html",
        *(f"results/{DS}/viewer/{video}.html" for video in smk_viewed),
    ]
