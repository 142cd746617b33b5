# dynsal: from videos and gaze to tables. `snakemake -n` shows what would run and why; config/README.md has the keys.
from snakemake.utils import min_version, validate

min_version("9.0")


report: "workflow/report/workflow.rst"


# A configuration file given on the command line replaces the demo's: every profile is complete.
if not workflow.overwrite_configfiles:

    configfile: "config/config.yaml"


include: "workflow/rules/common.smk"


validate(config, "workflow/schemas/config.schema.json", set_default=False)


wildcard_constraints:
    ds=smk_plan.ds,
    video="[^/]+",  # names are checked by the plan: a pattern of all of them would be tried for every file
    model="|".join([*smk_plan.models, *smk_plan.floors]),
    baseline="|".join(smk_plan.baselines) or "none",
    seed=r"\d+",
    factor=r"\d+",


onstart:
    space.tell(smk_plans, ([str(file) for file in job.output] for job in workflow.dag.needrun_jobs()), logger)


rule all:
    """Table 1 and its figures."""
    input:
        "results/table1.csv",
        smk_figures,


include: "workflow/rules/download.smk"
include: "workflow/rules/stills.smk"
include: "workflow/rules/prepare.smk"
include: "workflow/rules/flow.smk"
include: "workflow/rules/augment.smk"
include: "workflow/rules/batches.smk"
include: "workflow/rules/weights.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/baselines.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/figures.smk"


if smk_still:

    include: "workflow/rules/transfer.smk"

else:

    include: "workflow/rules/no_transfer.smk"


include: "workflow/rules/report.smk"


localrules:
    all,
    downloads,
    data,
    flows,
    models,
    table1,
    table2,
    figures,
    figures2,
    all_figures,
    table3,
    figures3,
    stills,
    report,
    report1,


rule downloads:
    """Every download: of the data set, the initial weights and the baselines; what needs a network, and nothing else."""
    input:
        lambda wildcards: smk_plan.downloads(),
        lambda wildcards: smk_still.downloads() if smk_still and smk_plan.starts_from_stills() else [],


rule data:
    """Every download, rescaled, with its gaze (of blind test images, without)."""
    input:
        lambda wildcards: smk_plan.paths("frames", [*smk_plan.videos, *smk_plan.blind]),
        lambda wildcards: smk_plan.paths("gaze", smk_plan.videos),


rule flows:
    """Optical flow of every video."""
    input:
        lambda wildcards: smk_plan.paths("flow", smk_plan.videos),


rule models:
    """Every training."""
    input:
        smk_plan.trainings("model.safetensors"),


rule table1:
    """Table 1 of the configured data set."""
    input:
        "results/table1.csv",


rule table2:
    """Table 2 of the configured data set: the last net against the baselines."""
    input:
        "results/table2.csv",


rule table3:
    """Table 3: nets trained on the videos, transferred to still images with predicted motion."""
    input:
        "results/table3.csv",


rule figures3:
    """The pictures of Table 3: figures 6 and 7, and measured and predicted motion."""
    input:
        lambda wildcards: smk_still_figures(),


rule stills:
    """Table 3's still images: every download, rescaled, with their gaze (of blind test images, without)."""
    input:
        lambda wildcards: smk_still_data(),


rule figures:
    """The pictures of Table 1: figures 1 to 4, and what the paper lacks."""
    input:
        smk_figures,


rule figures2:
    """The pictures of Table 2: figure 5, and scores against speed."""
    input:
        smk_figures2,


rule all_figures:
    """Every picture that the configuration allows; those of Table 3 need the section transfer."""
    input:
        smk_figures,
        smk_figures2,
        lambda wildcards: smk_still_figures() if smk_still else [],
