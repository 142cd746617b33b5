# Needs: SALICON's archives in results/salicon/raw; for a submission, frames of the validation and test shards.
# Makes: results/salicon/raw/points/{part}.parquet, results/{ds}/submission/{baseline}/results.zip.


rule salicon_points:
    """Sort the gigabytes of SALICON's JSON (release 2015r1) by shard, in one pass per split."""
    input:
        script=smk_script("salicon_points"),
        code=smk_code("salicon_points"),
        annotations="results/salicon/raw/fixations_{part}2014.json.zip",
        images="results/salicon/raw/images.zip",
    output:
        "results/salicon/raw/points/{part}.parquet",
    log:
        "logs/salicon/points/{part}.log",
    benchmark:
        "results/salicon/benchmarks/points/{part}.tsv"
    wildcard_constraints:
        part="train|val",
    conda:
        "../../envs/data.yaml"
    params:
        cfg=lambda wildcards: smk_salicon(wildcards).fields(dataset=["name"]),
        root=lambda wildcards: smk_salicon(wildcards).raw,
    shell:
        "python {input.script} --part {wildcards.part} --raw {params.root:q} --annotations {input.annotations:q}"
        " --params {params.cfg:q} --out {output:q} --log {log:q}"


rule submission:
    """Map SALICON's validation and test images with one baseline, and pack the maps for the evaluation server."""
    input:
        unpack(lambda wildcards: smk_plan.submission_clips(wildcards.baseline)),
        script=smk_script("salicon_submission"),
        code=lambda wildcards: smk_code("salicon_submission", smk_plan.baseline_code(wildcards.baseline)),
        files=lambda wildcards: smk_plan.baseline_files(wildcards.baseline),
    output:
        "results/{ds}/submission/{baseline}/results.zip",
    log:
        "logs/{ds}/submission/{baseline}.log",
    benchmark:
        "results/{ds}/benchmarks/submission/{baseline}.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        options=lambda wildcards: smk_plan.baseline_options(wildcards.baseline),
        size=smk_baseline_size,
    shell:
        "python {input.script} --name {wildcards.baseline} --options {params.options:q} --files {input.files:q}"
        " {params.size} --val {input.val:q} --test {input.test:q} --out {output:q} --log {log:q}"
