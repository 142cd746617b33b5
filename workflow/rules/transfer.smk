# Needs: section transfer; original videos and frames of the video data set, its trained nets; frames and gaze of still images.
# Makes: results/{videos}/motion/{video}.h5, results/{videos}/static_flow/*, and for the still images results/{stills}/flow/,
# models/, scores/, timings and table3*: all of Table 3.

STILLS = smk_still.ds


rule motion:
    """Motion over five frames of a video, the camera's removed: what the static flow net learns to predict."""
    input:
        script=smk_script("motion"),
        code=smk_code("motion", smk_dataset),
        raw=lambda wildcards: smk_plan.raw_video(wildcards.video),
        frames="results/{ds}/frames/{video}.h5",
    output:
        "results/{ds}/motion/{video}.h5",
    log:
        "logs/{ds}/motion/{video}.log",
    benchmark:
        "results/{ds}/benchmarks/motion/{video}.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        cfg=smk_plan.fields(dataset=["name", "source", "folder"]),
        estimator=smk_config.static_flow.estimator,
        step=smk_config.static_flow.label_step,
        root=smk_raw,
    shell:
        "python {input.script} --video {wildcards.video:q} --raw {params.root:q} --frames {input.frames:q}"
        " --estimator {params.estimator} --label-step {params.step} --params {params.cfg:q} --out {output:q}"
        " --log {log:q}"


rule codebook:
    """The 40 motions to choose from: the authors', or k-means on the motion of the training videos."""
    input:
        script=smk_script("codebook"),
        code=smk_code("codebook"),
        files=smk_still.codebook() or smk_plan.paths("motion", smk_plan.train),
    output:
        "results/{ds}/static_flow/codebook.npz",
    log:
        "logs/{ds}/static_flow/codebook.log",
    conda:
        "../../envs/train.yaml"
    params:
        source="--file" if smk_still.codebook() else f"--seed {smk_plan.seeds[0]} --motion",
    shell:
        "python {input.script} {params.source} {input.files:q} --out {output:q} --log {log:q}"


rule train_static_flow:
    """Train the net that predicts motion from a single image on the training videos; safe to interrupt."""
    input:
        script=smk_script("train_static_flow"),
        code=smk_code("train_static_flow"),
        motion=[] if smk_still.caffemodel() else smk_plan.paths("motion", smk_plan.train),
        validation=[] if smk_still.caffemodel() else smk_plan.paths("motion", smk_plan.validation),
        codebook="results/{ds}/static_flow/codebook.npz",
        caffemodel=smk_still.caffemodel(),
    output:
        model="results/{ds}/static_flow/model.safetensors",
        history="results/{ds}/static_flow/history.csv",
        provenance="results/{ds}/static_flow/provenance.json",
    log:
        "logs/{ds}/static_flow/train.log",
    benchmark:
        "results/{ds}/benchmarks/train_static_flow/all.tsv"
    conda:
        "../../envs/train.yaml"
    threads: 8
    resources:
        gpu=1,
    params:
        cfg=smk_plan.params("static_flow"),
        seed=smk_plan.seeds[0],
        checkpoints="results/{ds}/checkpoints/static_flow",
    shell:
        "python {input.script} --motion {input.motion:q} --validation {input.validation:q} --codebook {input.codebook:q}"
        " --caffemodel {input.caffemodel:q} --seed {params.seed} --params {params.cfg:q}"
        " --checkpoints {params.checkpoints:q} --threads {threads} --processes {resources.gpu} --out {output.model:q}"
        " --history {output.history:q} --provenance {output.provenance:q} --log {log:q}"


rule score_static_flow:
    """Compare predicted with measured motion on the test videos, beside zero, the mean motion and the nearest image's."""
    input:
        script=smk_script("score_static_flow"),
        code=smk_code("score_static_flow"),
        model="results/{ds}/static_flow/model.safetensors",
        motion=smk_plan.paths("motion", smk_plan.test),
        training=smk_plan.paths("motion", smk_plan.train),
    output:
        table="results/{ds}/static_flow.csv",
        differences="results/{ds}/static_flow_differences.csv",
        videos="results/{ds}/static_flow_per_video.csv",
    log:
        "logs/{ds}/static_flow/score.log",
    conda:
        "../../envs/train.yaml"
    params:
        cfg=smk_plan.params("table"),
    shell:
        "python {input.script} --model {input.model:q} --motion {input.motion:q} --training {input.training:q}"
        " --params {params.cfg:q} --out {output.table:q} --differences {output.differences:q}"
        " --per-video {output.videos:q} --log {log:q}"


rule predict_flow:
    """Motion predicted for every image of a shard."""
    input:
        script=smk_script("predict_flow"),
        code=smk_code("predict_flow"),
        model=f"{smk_still.static_flow}/model.safetensors",
        frames="results/{ds}/frames/{shard}.h5",
    output:
        "results/{ds}/flow/{shard}.h5",
    log:
        "logs/{ds}/flow/{shard}.log",
    benchmark:
        "results/{ds}/benchmarks/predict_flow/{shard}.tsv"
    wildcard_constraints:
        ds=STILLS,
        shard="|".join([*smk_still.videos, *smk_still.blind]),
    conda:
        "../../envs/train.yaml"
    threads: 8
    resources:
        gpu=1,
    shell:
        "python {input.script} --model {input.model:q} --frames {input.frames:q} --threads {threads} --out {output:q}"
        " --log {log:q}"


rule finetune:
    """Train one net of Table 3 on still images, from where it starts; safe to interrupt."""
    input:
        script=smk_script("finetune"),
        code=smk_code("finetune"),
        frames=smk_still.paths("frames", smk_still.train),
        gaze=smk_still.paths("gaze", smk_still.train),
        flow=lambda wildcards: smk_still.motion(wildcards.net, smk_still.train),
        validation=[smk_still.paths(step, smk_still.validation) for step in ("frames", "gaze")],
        validation_flow=lambda wildcards: smk_still.motion(wildcards.net, smk_still.validation),
        init=lambda wildcards: smk_still.start(wildcards.net, wildcards.seed),
    output:
        model="results/{ds}/models/{net}/seed{seed}/model.safetensors",
        history="results/{ds}/models/{net}/seed{seed}/history.csv",
        provenance="results/{ds}/models/{net}/seed{seed}/provenance.json",
    log:
        "logs/{ds}/finetune/{net}.seed{seed}.log",
    benchmark:
        "results/{ds}/benchmarks/finetune/{net}.seed{seed}.tsv"
    wildcard_constraints:
        ds=STILLS,
        net="|".join(smk_still.models),
    conda:
        "../../envs/train.yaml"
    threads: 8
    resources:
        gpu=1,
    params:
        cfg=lambda wildcards: smk_still.net_params(wildcards.net, wildcards.seed),
        model=lambda wildcards: smk_still.model(wildcards.net).model_dump_json(exclude={"net", "train"}),
        shards=smk_still.train,
        validation=smk_still.validation,
        results=smk_still_results,
        checkpoints="results/{ds}/checkpoints/{net}/seed{seed}",
    shell:
        "python {input.script} --name {wildcards.net} --model {params.model:q} --seed {wildcards.seed}"
        " --results {params.results:q} --shards {params.shards:q} --validation {params.validation:q}"
        " --params {params.cfg:q} --init {input.init:q} --checkpoints {params.checkpoints:q} --threads {threads} --processes {resources.gpu}"
        " --out {output.model:q} --history {output.history:q} --provenance {output.provenance:q} --log {log:q}"


rule still_evaluate:
    """Score one net on every test image."""
    input:
        script=smk_script("still_evaluate"),
        code=smk_code("still_evaluate"),
        model=f"results/{STILLS}/models/{{net}}/seed{{seed}}/model.safetensors",
        frames=smk_still.paths("frames", smk_still.test),
        flow=lambda wildcards: smk_still.motion(wildcards.net, smk_still.test),
        gaze=smk_still.paths("gaze", smk_still.test),
    output:
        smk_still.scores("{net}", "{seed}"),
    log:
        f"logs/{STILLS}/evaluate/{{net}}.seed{{seed}}.log",
    benchmark:
        f"results/{STILLS}/benchmarks/evaluate/{{net}}.seed{{seed}}.tsv"
    wildcard_constraints:
        net="|".join(smk_still.models),
    conda:
        "../../envs/train.yaml"
    threads: 8
    resources:
        gpu=1,
    params:
        cfg=smk_still.params("dataset", "gaze", "evaluate"),
        shards=smk_still.test,
        results=smk_still_results,
    shell:
        "python {input.script} --name {wildcards.net} --seed {wildcards.seed} --model {input.model:q}"
        " --results {params.results:q} --shards {params.shards:q} --params {params.cfg:q} --threads {threads}"
        " --log {log:q}"


rule still_baseline:
    """Score one baseline on the images of one test shard."""
    input:
        script=smk_script("still_baseline"),
        code=lambda wildcards: smk_code(
            "still_baseline", smk_dataset_of(wildcards), smk_still.baseline_code(wildcards.still_baseline)
        ),
        files=lambda wildcards: smk_still.baseline_files(wildcards.still_baseline),
        raw=lambda wildcards: smk_still.raw_video(wildcards.shard),
        frames=smk_still.paths("frames", smk_still.test),
        gaze=smk_still.paths("gaze", smk_still.test),
    output:
        "results/{ds}/scores/{still_baseline}/seed0/{shard}.parquet",
    log:
        "logs/{ds}/baseline/{still_baseline}/{shard}.log",
    benchmark:
        "results/{ds}/benchmarks/baseline/{still_baseline}/{shard}.tsv"
    wildcard_constraints:
        ds=STILLS,
        still_baseline="|".join(smk_still.baselines) or "none",
        shard="|".join(smk_still.test),
    conda:
        "../../envs/data.yaml"
    params:
        cfg=smk_still.params("dataset", "gaze", "evaluate"),
        options=lambda wildcards: smk_still.baseline_options(wildcards.still_baseline),
        size=smk_size(smk_still),
        shards=smk_still.test,
        root=smk_raw,
        results=smk_still_results,
    shell:
        "python {input.script} --name {wildcards.still_baseline} --options {params.options:q} --files {input.files:q}"
        " --shard {wildcards.shard} --shards {params.shards:q} {params.size} --raw {params.root:q}"
        " --results {params.results:q} --params {params.cfg:q} --out {output:q} --log {log:q}"


rule still_floors:
    """Score what needs no training on the test images: centre, uniform, mean map, human halves and any known density."""
    input:
        script=smk_script("still_floors"),
        code=smk_code("still_floors", f"datasets.{smk_reader(smk_still.config.dataset)}"),
        frames=smk_still.paths("frames", smk_still.test),
        gaze=smk_still.paths("gaze", smk_still.test),
        training=smk_still.paths("gaze", smk_still.train),
        truth=[path for shard in smk_still.test for path in smk_still.truth(shard)],
    output:
        [smk_still.scores(name, 0) for name in smk_still.floors],
    log:
        f"logs/{STILLS}/evaluate/floors.log",
    benchmark:
        f"results/{STILLS}/benchmarks/floors/all.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        cfg=smk_still.params("dataset", "gaze", "evaluate"),
        names=smk_still.floors,
        shards=smk_still.test,
        training=smk_still.train,
        results=smk_still_results,
    shell:
        "python {input.script} --names {params.names} --results {params.results:q} --shards {params.shards:q}"
        " --training {params.training:q} --params {params.cfg:q} --log {log:q}"


TABLE3 = [
    "table3.csv",
    "table3.md",
    "table3_ablation.csv",
    "table3_differences.csv",
    "table3_per_image.csv",
    "table3_provenance.json",
]


rule table3_of:
    """Aggregate the scores of still images: means, bootstrap intervals over images, what each part contributes."""
    input:
        script=smk_script("table3"),
        code=smk_code("table3"),
        scores=smk_still.all_scores(),
        motion=f"results/{DS}/static_flow.csv",
        paper=smk_relative("resources/paper/table3.csv"),
    output:
        expand("results/{{ds}}/{name}", name=TABLE3),
    log:
        "logs/{ds}/tables/table3.log",
    wildcard_constraints:
        ds=STILLS,
    conda:
        "../../envs/tables.yaml"
    params:
        cfg=smk_plan.params(*type(smk_config).model_fields),
        runs=json.dumps(smk_still.runs()),
        baselines=smk_still.baselines,
        shards=smk_still.test,
        results=smk_still_results,
    shell:
        "python {input.script} --results {params.results:q} --runs {params.runs:q} --baselines {params.baselines}"
        " --shards {params.shards:q} --dataset {wildcards.ds} --motion {input.motion:q} --paper {input.paper:q}"
        " --params {params.cfg:q} --out {params.results:q} --log {log:q}"


rule publish_table3:
    """Copy Table 3 to results/."""
    input:
        expand(f"results/{STILLS}/{{name}}", name=TABLE3),
    output:
        expand("results/{name}", name=TABLE3),
    log:
        "logs/tables/publish_table3.log",
    localrule: True
    conda:
        "../../envs/tables.yaml"
    shell:
        "cp {input:q} results/ 2> {log:q}"


rule still_figures:
    """Figures 6 and 7: a still image with predicted motion and every row's map; several with those of the main nets."""
    input:
        script=smk_script("still_figures"),
        code=smk_code("still_figures", f"datasets.{smk_reader(smk_still.config.dataset)}"),
        raw=[path for shard in smk_still.test for path in smk_still.raw_video(shard)],
        models=[
            f"results/{STILLS}/models/{net}/seed{smk_still.seeds[0]}/model.safetensors"
            for net in smk_still.models
        ],
        files=[smk_still.baseline_files(name) for name in smk_still.baselines],
        scores=smk_still.all_scores(),
        frames=smk_still.paths("frames", smk_still.test),
        flow=smk_still.paths("flow", smk_still.test),
        gaze=smk_still.paths("gaze", smk_still.test),
    output:
        motion=smk_shown("results/{ds}/figures/figure6_predicted_motion", "6 A still image, every row"),
        stills=smk_shown("results/{ds}/figures/figure7_stills", "7 Still images"),
    log:
        "logs/{ds}/figures/still_figures.log",
    wildcard_constraints:
        ds=STILLS,
    conda:
        "../../envs/train.yaml"
    params:
        cfg=smk_still.params("dataset", "gaze"),
        root=smk_raw,
        nets=smk_still.models,
        shown=smk_still.shown_nets(),
        baselines=smk_still.timed_baselines(),
        size=smk_size(smk_still),
        seed=smk_still.seeds[0],
        shards=smk_still.test,
        results=smk_still_results,
    shell:
        "python {input.script} --results {params.results:q} --raw {params.root:q} --shards {params.shards:q}"
        " --nets {params.nets} --shown {params.shown} --baselines {params.baselines:q} {params.size} --seed {params.seed}"
        " --params {params.cfg:q} --motion-out {output.motion:q} --stills-out {output.stills:q} --log {log:q}"


rule motion_figure:
    """Measured and predicted motion in a frame of every test video."""
    input:
        script=smk_script("motion_figure"),
        code=smk_code("motion_figure"),
        model="results/{ds}/static_flow/model.safetensors",
        motion=smk_plan.paths("motion", smk_plan.test),
        training=smk_plan.paths("motion", smk_plan.train),
    output:
        smk_shown("results/{ds}/figures/motion", "Predicted motion"),
    log:
        "logs/{ds}/figures/motion.log",
    conda:
        "../../envs/train.yaml"
    shell:
        "python {input.script} --model {input.model:q} --motion {input.motion:q} --training {input.training:q}"
        " --out {output:q} --log {log:q}"


rule still_submission:
    """Map SALICON's validation and test images with one net of Table 3, and pack the maps for the evaluation server."""
    input:
        script=smk_script("salicon_submission"),
        code=smk_code("salicon_submission"),
        model="results/{ds}/models/{net}/seed{seed}/model.safetensors",
        motion=lambda wildcards: (
            f"{smk_still.static_flow}/model.safetensors" if smk_still.looks_at_motion(wildcards.net) else []
        ),
        val=smk_still.paths("frames", smk_still.test),
        test=smk_still.paths("frames", smk_still.blind),
    output:
        "results/{ds}/submission/{net}.seed{seed}/results.zip",
    log:
        "logs/{ds}/submission/{net}.seed{seed}.log",
    benchmark:
        "results/{ds}/benchmarks/submission/{net}.seed{seed}.tsv"
    wildcard_constraints:
        ds="salicon|salicon2017",
        net="|".join(smk_still.models),
    conda:
        "../../envs/train.yaml"
    threads: 8
    resources:
        gpu=1,
    shell:
        "python {input.script} --name {wildcards.net} --model {input.model:q} --motion-model {input.motion:q}"
        " --val {input.val:q} --test {input.test:q} --threads {threads} --out {output:q} --log {log:q}"
