# Needs: SALICON's archives in results/salicon/raw. Makes: results/salicon/raw/points/{part}.parquet.


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
        cfg=smk_plan.fields(dataset=["name"]),
        root=smk_raw,
    shell:
        "python {input.script} --part {wildcards.part} --raw {params.root:q} --annotations {input.annotations:q}"
        " --params {params.cfg:q} --out {output:q} --log {log:q}"
