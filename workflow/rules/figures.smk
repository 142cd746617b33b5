# Needs: models, score files, clips. Makes: results/{ds}/figures/*.{png,pdf}.


rule overview:
    """One frame of several test videos: input, flow, truth, and the map of every net with its score."""
    input:
        script=smk_script("overview"),
        code=smk_code("overview"),
        models=smk_plan.trainings("model.safetensors"),
        scores=lambda wildcards: smk_plan.all_scores(),
        frames=smk_plan.paths("frames", smk_plan.test),
        flow=smk_plan.paths("flow", smk_plan.test),
        gaze=smk_plan.paths("gaze", smk_plan.test),
    output:
        smk_shown("results/{ds}/figures/overview", "Maps of the nets"),
    log:
        "logs/{ds}/figures/overview.log",
    conda:
        "../../envs/train.yaml"
    params:
        cfg=smk_plan.params("gaze"),
        videos=smk_plan.test,
        models=smk_plan.models,
        seed=smk_plan.seeds[0],
        results=smk_results,
    shell:
        "python {input.script} --results {params.results:q} --videos {params.videos:q} --models {params.models}"
        " --seed {params.seed} --params {params.cfg:q} --out {output:q} --log {log:q}"


rule curves:
    """Training and validation loss of every net and seed."""
    input:
        script=smk_script("curves"),
        code=smk_code("curves"),
        histories=smk_plan.trainings("history.csv"),
    output:
        smk_shown("results/{ds}/figures/curves", "Training curves"),
    log:
        "logs/{ds}/figures/curves.log",
    conda:
        "../../envs/tables.yaml"
    shell:
        "python {input.script} --histories {input.histories:q} --out {output:q} --log {log:q}"


rule scores_figure:
    """Scores of every row of Table 1 with their intervals, and the videos behind them."""
    input:
        script=smk_script("scores_figure"),
        code=smk_code("scores_figure"),
        table="results/{ds}/table1.csv",
        videos="results/{ds}/table1_per_video.csv",
    output:
        smk_shown("results/{ds}/figures/scores", "Scores and intervals"),
    log:
        "logs/{ds}/figures/scores.log",
    conda:
        "../../envs/tables.yaml"
    shell:
        "python {input.script} --table {input.table:q} --per-video {input.videos:q} --out {output:q} --log {log:q}"


rule gallery:
    """One frame of every test video: input, flow, truth, and the maps of the net and of every baseline."""
    input:
        script=smk_script("gallery"),
        code=smk_code("gallery"),
        model=f"results/{DS}/models/{smk_plan.models[-1]}/seed{smk_plan.seeds[0]}/model.safetensors",
        scores=smk_plan.compared_scores(),
        maps=smk_plan.shown_maps(),
        frames=smk_plan.paths("frames", smk_plan.test),
        flow=smk_plan.paths("flow", smk_plan.test),
        gaze=smk_plan.paths("gaze", smk_plan.test),
    output:
        smk_shown("results/{ds}/figures/gallery", "Maps of the baselines"),
    log:
        "logs/{ds}/figures/gallery.log",
    conda:
        "../../envs/train.yaml"
    params:
        cfg=smk_plan.params("gaze"),
        videos=smk_plan.test,
        net=smk_plan.models[-1],
        baselines=smk_plan.baselines,
        seed=smk_plan.seeds[0],
        results=smk_results,
    shell:
        "python {input.script} --results {params.results:q} --videos {params.videos:q} --net {params.net}"
        " --baselines {params.baselines} --seed {params.seed} --params {params.cfg:q} --out {output:q} --log {log:q}"
