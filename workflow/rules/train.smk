# Needs: frames, flow, gaze (and the low-resolution copies) of the training and validation videos;
# with net.init salnet or vggm, results/weights/{name}.safetensors.
# Makes: results/{ds}/models/{model}/seed{seed}/. Checkpoints live beside the outputs and survive a killed job.


rule train:
    """Train one net with one seed; safe to interrupt and to start again."""
    input:
        script=smk_script("train"),
        code=smk_code("train"),
        clips=lambda wildcards: smk_plan.training_clips(wildcards.model),
        gaze=smk_plan.paths("gaze", smk_plan.train),
        validation=[smk_plan.paths(step, smk_plan.validation) for step in ("frames", "flow", "gaze")],
        init=lambda wildcards: smk_plan.initial_weights(wildcards.model, wildcards.seed),
    output:
        model="results/{ds}/models/{model}/seed{seed}/model.safetensors",
        history="results/{ds}/models/{model}/seed{seed}/history.csv",
        provenance="results/{ds}/models/{model}/seed{seed}/provenance.json",
    log:
        "logs/{ds}/train/{model}.seed{seed}.log",
    benchmark:
        "results/{ds}/benchmarks/train/{model}.seed{seed}.tsv"
    conda:
        "../../envs/train.yaml"
    threads: 8
    resources:
        gpu=1,
    params:
        cfg=lambda wildcards: smk_plan.training_params(wildcards.model, wildcards.seed),
        model=lambda wildcards: smk_plan.config.models[wildcards.model].model_dump_json(
            exclude={"net", "train", "start"}
        ),
        videos=smk_plan.train,
        validation=smk_plan.validation,
        results=smk_results,
        checkpoints="results/{ds}/checkpoints/{model}/seed{seed}",
    shell:
        "python {input.script} --name {wildcards.model} --model {params.model:q} --seed {wildcards.seed}"
        " --results {params.results:q} --videos {params.videos:q} --validation {params.validation:q}"
        " --params {params.cfg:q} --init {input.init:q} --checkpoints {params.checkpoints:q} --threads {threads}"
        " --processes {resources.gpu}"
        " --out {output.model:q} --history {output.history:q} --provenance {output.provenance:q} --log {log:q}"
