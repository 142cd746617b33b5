# Needs: models, score files, tables, clips. Makes: results/{ds}/figures/*.{png,pdf} and roc.csv; docs/figures.md shows them.


rule figure1_streams:
    """Figure 1: the two single streams, drawn from the nets themselves."""
    input:
        script=smk_script("architectures"),
        code=smk_code("architectures"),
        models=shown.first_seed(smk_plan, "model.safetensors"),
        scores=lambda wildcards: shown.last_scores(smk_plan),
        frames=smk_test("frames"),
        flow=smk_test("flow"),
        gaze=smk_test("gaze"),
    output:
        smk_shown("results/{ds}/figures/figure1_streams", "1 Single streams"),
    log:
        "logs/{ds}/figures/figure1_streams.log",
    conda:
        "../../envs/train.yaml"
    params:
        cfg=smk_plan.params("net", "gaze"),
        nets=shown.drawn(smk_plan, "spatial", "temporal"),
        videos=smk_plan.test,
        last=smk_plan.models[-1],
        seed=smk_plan.seeds[0],
        results=smk_results,
    shell:
        "python {input.script} --results {params.results:q} --videos {params.videos:q} --nets {params.nets}"
        " --ranked-by {params.last} --seed {params.seed} --params {params.cfg:q} --out {output:q} --log {log:q}"


use rule figure1_streams as figure2_fusion with:
    output:
        smk_shown("results/{ds}/figures/figure2_fusion", "2 Fusion"),
    log:
        "logs/{ds}/figures/figure2_fusion.log",
    params:
        cfg=smk_plan.params("net", "gaze"),
        nets=shown.drawn(smk_plan, "late", "early"),
        videos=smk_plan.test,
        last=smk_plan.models[-1],
        seed=smk_plan.seeds[0],
        results=smk_results,


rule figure3_flow:
    """Figure 3: flow images of one test video."""
    input:
        script=smk_script("figure3_flow"),
        code=smk_code("figure3_flow"),
        scores=lambda wildcards: shown.last_scores(smk_plan),
        frames=smk_test("frames"),
        flow=smk_test("flow"),
    output:
        smk_shown("results/{ds}/figures/figure3_flow", "3 Optical flow"),
    log:
        "logs/{ds}/figures/figure3_flow.log",
    conda:
        "../../envs/train.yaml"
    params:
        videos=smk_plan.test,
        last=smk_plan.models[-1],
        seed=smk_plan.seeds[0],
        results=smk_results,
    shell:
        "python {input.script} --results {params.results:q} --videos {params.videos:q} --ranked-by {params.last}"
        " --seed {params.seed} --out {output:q} --log {log:q}"


rule figure4_nets:
    """Figure 4: the best, the median and the worst test frame, with flow, truth, and the map of every net."""
    input:
        script=smk_script("figure4_nets"),
        code=smk_code("figure4_nets"),
        models=shown.first_seed(smk_plan, "model.safetensors"),
        scores=lambda wildcards: smk_plan.all_scores(),
        frames=smk_test("frames"),
        flow=smk_test("flow"),
        gaze=smk_test("gaze"),
    output:
        smk_shown("results/{ds}/figures/figure4_nets", "4 Maps of the nets"),
    log:
        "logs/{ds}/figures/figure4_nets.log",
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
        smk_shown("results/{ds}/figures/curves", "Learning curves"),
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


rule figure5_baselines:
    """Figure 5: frames of test videos with truth, and the maps of the last net and of every baseline."""
    input:
        script=smk_script("figure5_baselines"),
        code=smk_code("figure5_baselines"),
        model=f"results/{DS}/models/{smk_plan.models[-1]}/seed{smk_plan.seeds[0]}/model.safetensors",
        scores=smk_plan.compared_scores(),
        maps=shown.shown_maps(smk_plan),
        frames=smk_test("frames"),
        flow=smk_test("flow"),
        gaze=smk_test("gaze"),
    output:
        smk_shown("results/{ds}/figures/figure5_baselines", "5 Maps of the baselines"),
    log:
        "logs/{ds}/figures/figure5_baselines.log",
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


rule over_time:
    """Scores over the frames of the best, the median and the worst test video."""
    input:
        script=smk_script("over_time"),
        code=smk_code("over_time"),
        scores=lambda wildcards: smk_plan.all_scores(),
    output:
        smk_shown("results/{ds}/figures/over_time", "Scores over time"),
    log:
        "logs/{ds}/figures/over_time.log",
    conda:
        "../../envs/tables.yaml"
    params:
        videos=smk_plan.test,
        runs=json.dumps({name: seeds for name, seeds in smk_plan.runs().items() if name != "uniform"}),
        last=smk_plan.models[-1],
        results=smk_results,
    shell:
        "python {input.script} --results {params.results:q} --videos {params.videos:q} --runs {params.runs:q}"
        " --ranked-by {params.last} --out {output:q} --log {log:q}"


rule per_video:
    """How sAUC spreads over the test videos, with every video's number."""
    input:
        script=smk_script("per_video"),
        code=smk_code("per_video"),
        videos="results/{ds}/table1_per_video.csv",
    output:
        smk_shown("results/{ds}/figures/per_video", "Scores of every video"),
    log:
        "logs/{ds}/figures/per_video.log",
    conda:
        "../../envs/tables.yaml"
    shell:
        "python {input.script} --per-video {input.videos:q} --out {output:q} --log {log:q}"


rule agreement:
    """Rank correlations between the metrics."""
    input:
        script=smk_script("agreement"),
        code=smk_code("agreement"),
        videos="results/{ds}/table1_per_video.csv",
    output:
        smk_shown("results/{ds}/figures/agreement", "Agreement between metrics"),
    log:
        "logs/{ds}/figures/agreement.log",
    conda:
        "../../envs/tables.yaml"
    shell:
        "python {input.script} --per-video {input.videos:q} --out {output:q} --log {log:q}"


rule roc:
    """Mean ROC curves of the nets, the centre and the viewers, of a few frames of every test video."""
    input:
        script=smk_script("roc"),
        code=smk_code("roc"),
        models=shown.first_seed(smk_plan, "model.safetensors"),
        frames=smk_test("frames"),
        flow=smk_test("flow"),
        gaze=smk_test("gaze"),
    output:
        pictures=smk_shown("results/{ds}/figures/roc", "ROC curves"),
        table="results/{ds}/roc.csv",
    log:
        "logs/{ds}/figures/roc.log",
    benchmark:
        "results/{ds}/benchmarks/roc/all.tsv"
    conda:
        "../../envs/train.yaml"
    threads: 8
    resources:
        gpu=1,
    params:
        cfg=smk_plan.params("gaze", "evaluate"),
        videos=smk_plan.test,
        nets=smk_plan.models,
        floors=smk_plan.floors,
        seed=smk_plan.seeds[0],
        results=smk_results,
    shell:
        "python {input.script} --results {params.results:q} --videos {params.videos:q} --models {params.nets}"
        " --floors {params.floors} --seed {params.seed} --params {params.cfg:q} --threads {threads}"
        " --table {output.table:q} --out {output.pictures:q} --log {log:q}"


rule speed:
    """sAUC against frames per second, of every net and baseline."""
    input:
        script=smk_script("speed"),
        code=smk_code("speed"),
        tables=expand("results/{{ds}}/table{number}.csv", number=[1, 2]),
        nets="results/{ds}/net_timings.csv",
        baselines="results/{ds}/timings.csv",
    output:
        smk_shown("results/{ds}/figures/speed", "Scores against speed"),
    log:
        "logs/{ds}/figures/speed.log",
    conda:
        "../../envs/tables.yaml"
    shell:
        "python {input.script} --tables {input.tables:q} --net-timings {input.nets:q} --timings {input.baselines:q}"
        " --out {output:q} --log {log:q}"
