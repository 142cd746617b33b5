# Needs: nothing (demo), a mirror folder or the network (all others).
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
        "python {input.script} --video {wildcards.video} --root {params.root:q} --log {log:q}"


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
        "python {input.script} --video {wildcards.video} --root {params.root:q} --params {params.mirrors:q} --log {log:q}"


rule download:
    """Fetch one file of a registry: mirror folders first, then its addresses; verified, or recorded on first sight."""
    input:
        script=smk_script("download"),
    output:
        "results/{registry}/raw/{file}",
    log:
        "logs/{registry}/download/{file}.log",
    benchmark:
        "results/{registry}/benchmarks/download/{file}.tsv"
    wildcard_constraints:
        registry="hevc33|salicon|weights|baselines",
        file=smk_plan.downloads_pattern(),
    conda:
        "../../envs/data.yaml"
    params:
        mirrors=smk_plan.params("mirrors"),
    shell:
        "python {input.script} --dataset {wildcards.registry} --file {wildcards.file:q} --params {params.mirrors:q}"
        " --out {output:q} --log {log:q}"


rule download_all:
    """Fetch all files of a data set of many small ones, several at a time; the manifest comes last."""
    input:
        script=smk_script("download"),
    output:
        "results/{registry}/raw/manifest.json",
    log:
        "logs/{registry}/download/all.log",
    benchmark:
        "results/{registry}/benchmarks/download/all.tsv"
    wildcard_constraints:
        registry="osie",
    conda:
        "../../envs/data.yaml"
    params:
        mirrors=smk_plan.params("mirrors"),
    shell:
        "python {input.script} --dataset {wildcards.registry} --all --params {params.mirrors:q} --out {output:q}"
        " --log {log:q}"
