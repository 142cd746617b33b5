# Needs: original videos, frames and gaze; for models that learn, frames and gaze of the training videos; the last net.
# Makes: results/{ds}/scores/{baseline}/seed0/{video}.parquet and results/{ds}/maps/{baseline}/{video}.h5 (one frame),
# results/{ds}/timings.csv and net_timings.csv.


rule baseline:
    """Score one baseline on the frames of one test video."""
    input:
        script=smk_script("baseline"),
        code=lambda wildcards: smk_code("baseline", smk_dataset, smk_plan.baseline_code(wildcards.baseline)),
        files=lambda wildcards: smk_plan.baseline_files(wildcards.baseline),
        raw=lambda wildcards: smk_plan.raw_video(wildcards.video),
        frames="results/{ds}/frames/{video}.h5",
        gaze=smk_plan.paths("gaze", smk_plan.test),
    output:
        scores="results/{ds}/scores/{baseline}/seed0/{video}.parquet",
        map="results/{ds}/maps/{baseline}/{video}.h5",
    log:
        "logs/{ds}/baseline/{baseline}/{video}.log",
    benchmark:
        "results/{ds}/benchmarks/baseline/{baseline}/{video}.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        cfg=smk_plan.sections("gaze", "evaluate", dataset=["name", "source", "release", "folder"]),
        options=lambda wildcards: smk_plan.baseline_options(wildcards.baseline),
        size=smk_baseline_size,
        videos=smk_plan.test,
        root=smk_raw,
        results=smk_results,
    shell:
        "python {input.script} --name {wildcards.baseline} --options {params.options:q} --files {input.files:q}"
        " --video {wildcards.video:q} --videos {params.videos:q} {params.size} --raw {params.root:q}"
        " --results {params.results:q} --params {params.cfg:q} --out {output.scores:q} --map {output.map:q}"
        " --log {log:q}"


rule timings:
    """Time every model of Table 2 on the same frames and one core; asks for more cores, so that little runs beside it."""
    input:
        script=smk_script("timings"),
        code=smk_code("timings"),
        models=[smk_plan.baseline_files(name) for name in smk_plan.baselines],
        net=[
            f"results/{DS}/models/{name}/seed{smk_plan.seeds[0]}/model.safetensors"
            for name in smk_plan.subjects()
        ],
        frames=smk_plan.path("frames", smk_plan.test[0]),
    output:
        "results/{ds}/timings.csv",
    log:
        "logs/{ds}/tables/timings.log",
    conda:
        "../../envs/train.yaml"
    threads: 8
    params:
        cfg=smk_plan.params("flow"),
        net=smk_plan.subjects(),
        baselines=smk_plan.timed_baselines(),
        size=smk_baseline_size,
    shell:
        "python {input.script} --frames {input.frames:q} --nets {params.net} --models {input.net:q} {params.size}"
        " --baselines {params.baselines:q} --params {params.cfg:q} --out {output:q} --log {log:q}"


rule net_timings:
    """Time every net of Table 1 as rule timings does, for the picture of speed; Table 2 does not need all of them."""
    input:
        script=smk_script("timings"),
        code=smk_code("timings"),
        models=shown.first_seed(smk_plan, "model.safetensors"),
        frames=smk_plan.path("frames", smk_plan.test[0]),
    output:
        "results/{ds}/net_timings.csv",
    log:
        "logs/{ds}/tables/net_timings.log",
    conda:
        "../../envs/train.yaml"
    threads: 8
    params:
        cfg=smk_plan.params("flow"),
        nets=smk_plan.models,
    shell:
        "python {input.script} --frames {input.frames:q} --nets {params.nets} --models {input.models:q}"
        " --params {params.cfg:q} --out {output:q} --log {log:q}"


rule pairs:
    """Collect training pairs from one training video, for a baseline that learns from gaze."""
    input:
        script=smk_script("pairs"),
        code=smk_code("pairs", smk_dataset),
        files=lambda wildcards: smk_plan.downloads_of(wildcards.baseline),
        raw=lambda wildcards: smk_plan.raw_video(wildcards.video),
        cuts=smk_plan.cuts(),
        frames="results/{ds}/frames/{video}.h5",
        gaze="results/{ds}/gaze/{video}.parquet",
    output:
        "results/{ds}/pairs/{baseline}/{video}.npz",
    log:
        "logs/{ds}/pairs/{baseline}/{video}.log",
    benchmark:
        "results/{ds}/benchmarks/pairs/{baseline}/{video}.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        cfg=smk_plan.fields(dataset=["name", "source", "release", "folder"], evaluate=["protocol"]),
        options=lambda wildcards: smk_plan.baseline_options(wildcards.baseline),
        size=smk_baseline_size,
        cuts=" ".join(["--cuts", *smk_plan.cuts()]) if smk_plan.cuts() else "",
        root=smk_raw,
    shell:
        "python {input.script} --options {params.options:q} --files {input.files:q} {params.cuts} --video {wildcards.video:q}"
        " {params.size} --raw {params.root:q} --frames {input.frames:q} --gaze {input.gaze:q}"
        " --params {params.cfg:q} --out {output:q} --log {log:q}"


rule train_baseline:
    """Train a baseline on the pairs of all training videos; the result does not depend on the threads."""
    input:
        script=smk_script("train_baseline"),
        code=smk_code("train_baseline"),
        pairs=expand("results/{{ds}}/pairs/{{baseline}}/{video}.npz", video=smk_plan.pair_videos()),
    output:
        "results/{ds}/models/{baseline}/seed0/model.safetensors",
    log:
        "logs/{ds}/train/{baseline}.seed0.log",
    benchmark:
        "results/{ds}/benchmarks/train_baseline/{baseline}.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 8
    params:
        options=lambda wildcards: smk_plan.baseline_options(wildcards.baseline),
        videos=smk_plan.pair_videos(),
    shell:
        "python {input.script} --options {params.options:q} --pairs {input.pairs:q} --videos {params.videos:q}"
        " --dataset {wildcards.ds} --threads {threads} --out {output:q} --log {log:q}"
