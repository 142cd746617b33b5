# Shared by all rules. Needs: the configuration. Makes: smk_plan (names and paths) and the smk_ input functions.
import os
import re
import shlex
import sys
from pathlib import Path

# A fresh clone works without an installation: jobs find the module in src/, also inside conda environments.
sys.path.insert(0, f"{workflow.basedir}/src")

from dynsal import layout, space
from dynsal import code_inputs as smk_inputs
from dynsal import workflow as smk
from dynsal.config import ConfigError
from dynsal.errors import DataError

# Imported under names of their own: rule files share one namespace with Snakemake itself.
from dynsal.config import parse as smk_parse
from dynsal.datasets import reader as smk_reader

try:
    smk_plan = smk.Plan(smk_parse(config))
except (ConfigError, DataError) as error:
    raise WorkflowError(str(error)) from None

DS = smk_plan.ds

# Mirror folders come by the environment, not by params: another one makes no finished download wrong.
shell.prefix(
    "set -euo pipefail; export OPENBLAS_NUM_THREADS=1 "
    f"PYTHONPATH='{workflow.basedir}/src'${{{{PYTHONPATH:+:$PYTHONPATH}}}} DYNSAL_MIRROR={shlex.quote(smk_plan.mirrors())}; "
)
smk_dataset = f"datasets.{smk_reader(smk_plan.config.dataset)}"


def smk_relative(path):
    """Relative to the working directory, so that a checkout moved or copied with its results runs nothing again."""
    return os.path.relpath(f"{workflow.basedir}/{path}")


def smk_script(name):
    return smk_relative(f"workflow/scripts/{name}.py")


def smk_code(name, *modules):
    return smk_inputs.code(Path(smk_script(name)), *modules)


smk_figures = [
    f"results/{DS}/figures/{name}.{kind}"
    for name in ("overview", "curves", "scores")
    for kind in ("png", "pdf")
]


# Data sets fetched file by file, and files of those; many small files are one job (rule download_all) instead.
smk_one_by_one = ["baselines", "hevc33", "salicon", "weights"]
smk_registered = "|".join(re.escape(row.file) for ds in smk_one_by_one for row in layout.registry(ds))
smk_init = layout.initial_weights(smk_plan.config.net.init) or []
smk_baseline_size = (
    " ".join(["--size", *map(str, smk_plan.config.baselines.size)]) if smk_plan.config.baselines.size else ""
)


def smk_results(wildcards):
    return f"results/{DS}"


def smk_raw(wildcards):
    return smk_plan.raw
