# Needs: trained models; frames, flow and gaze of the test videos (and gaze of the training videos for the mean map).
# Makes: results/{ds}/scores/{model}/seed{seed}/{video}.parquet, one row per frame.


rule floors:
    """Score what needs no training: centre, uniform, mean map, human halves and, for the demo, the true density."""
    input:
        script=smk_script("floors"),
        code=smk_code("floors"),
        frames=smk_plan.paths("frames", smk_plan.test),
        gaze=smk_plan.paths("gaze", smk_plan.test),
        training=smk_plan.paths("gaze", smk_plan.train),
        truth=[path for video in smk_plan.test for path in smk_plan.truth(video)],
    output:
        [smk_plan.scores(name, 0) for name in smk_plan.floors],
    log:
        f"logs/{DS}/evaluate/floors.log",
    benchmark:
        f"results/{DS}/benchmarks/floors/all.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        cfg=smk_plan.params("gaze", "evaluate"),
        names=smk_plan.floors,
        videos=smk_plan.test,
        training=smk_plan.train,
        results=smk_results,
    shell:
        "python {input.script} --names {params.names} --results {params.results:q} --videos {params.videos:q}"
        " --training {params.training:q} --params {params.cfg:q} --log {log:q}"


# Paths begin with results/{DS}/scores, not results/{ds}: Snakemake compares a file with every output whose beginning fits.
rule evaluate:
    """Score one trained net on every frame of the test videos."""
    input:
        script=smk_script("evaluate"),
        code=smk_code("evaluate"),
        model=f"results/{DS}/models/{{model}}/seed{{seed}}/model.safetensors",
        frames=smk_plan.paths("frames", smk_plan.test),
        flow=smk_plan.paths("flow", smk_plan.test),
        gaze=smk_plan.paths("gaze", smk_plan.test),
    output:
        smk_plan.scores("{model}", "{seed}"),
    log:
        f"logs/{DS}/evaluate/{{model}}.seed{{seed}}.log",
    benchmark:
        f"results/{DS}/benchmarks/evaluate/{{model}}.seed{{seed}}.tsv"
    wildcard_constraints:
        model="|".join(smk_plan.models),
    conda:
        "../../envs/train.yaml"
    threads: 8
    resources:
        gpu=1,
        # On CPUs, `--set-resources evaluate:processes=8` lets so many processes share videos and threads.
        processes=1,
    params:
        cfg=smk_plan.params("gaze", "evaluate"),
        videos=smk_plan.test,
        results=smk_results,
    shell:
        "python {input.script} --name {wildcards.model} --seed {wildcards.seed} --model {input.model:q}"
        " --results {params.results:q} --videos {params.videos:q} --params {params.cfg:q} --threads {threads}"
        " --processes {resources.processes} --log {log:q}"
