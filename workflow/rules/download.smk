# Needs: nothing (demo), a mirror folder or the network (hevc33, diem).
# Makes: results/{ds}/raw/..., the original files, verified and read-only.


rule demo:
    """Generate one video of the synthetic demo world in DIEM's release format, with its true gaze density."""
    input:
        script=smk_script("demo"),
        code=smk_code("demo"),
    output:
        video="results/{ds}/raw/{video}/video/{video}.mp4",
        truth="results/{ds}/raw/{video}/truth.h5",
        manifest="results/{ds}/raw/{video}/manifest.json",
    log:
        "logs/{ds}/demo/{video}.log",
    benchmark:
        "results/{ds}/benchmarks/demo/{video}.tsv"
    wildcard_constraints:
        ds="demo",
    conda:
        "../../envs/data.yaml"
    params:
        root=smk_raw,
    shell:
        "python {input.script} --video {wildcards.video:q} --root {params.root:q} --log {log:q}"


rule fetch_diem:
    """Copy one DIEM video and its event files from a mirror folder, or say how to get them."""
    input:
        script=smk_script("fetch_diem"),
    output:
        video="results/{ds}/raw/{video}/video/{video}.mp4",
        manifest="results/{ds}/raw/{video}/manifest.json",
    log:
        "logs/{ds}/download/{video}.log",
    benchmark:
        "results/{ds}/benchmarks/download/{video}.tsv"
    wildcard_constraints:
        ds="diem",
    conda:
        "../../envs/data.yaml"
    params:
        mirrors=smk_plan.params("mirrors"),
        root=smk_raw,
    shell:
        "python {input.script} --video {wildcards.video:q} --root {params.root:q} --params {params.mirrors:q} --log {log:q}"


rule download:
    """Fetch one file of a data set's registry: a mirror folder first, then its addresses; checked by SHA-256."""
    input:
        script=smk_script("download"),
    output:
        ensure("results/{ds}/raw/{file}", sha256=smk_sha256),
    log:
        "logs/{ds}/download/{file}.log",
    benchmark:
        "results/{ds}/benchmarks/download/{file}.tsv"
    wildcard_constraints:
        ds="hevc33",
        file=smk_registry_pattern,
    conda:
        "../../envs/data.yaml"
    params:
        mirrors=smk_plan.params("mirrors"),
    shell:
        "python {input.script} --dataset {wildcards.ds} --file {wildcards.file:q} --params {params.mirrors:q}"
        " --out {output:q} --log {log:q}"
