# Needs: nothing (demo), a mirror folder, files put into downloads/ by hand, or the network (all others).
# Makes: results/{ds}/raw/..., the original files, verified and read-only. Nothing here depends on where mirror folders are or
# on the code that fetches: a verified file is right, and is never fetched again (mirrors come by the environment).


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
        video=smk_any_video,
    conda:
        "../../envs/data.yaml"
    params:
        root=smk_raw,
    shell:
        "python {input.script} --video {wildcards.video:q} --root {params.root:q} --log {log:q}"


rule demo_stills:
    """Generate one shard of still images of the demo world in OSIE's release format, with its true gaze density."""
    input:
        script=smk_script("demo_stills"),
        code=smk_code("demo_stills"),
    output:
        images="results/{ds}/raw/{shard}/fixations.mat",
        truth="results/{ds}/raw/{shard}/truth.h5",
        manifest="results/{ds}/raw/{shard}/manifest.json",
    log:
        "logs/{ds}/demo/{shard}.log",
    benchmark:
        "results/{ds}/benchmarks/demo/{shard}.tsv"
    wildcard_constraints:
        ds="demo_stills",
        shard=r"(train|test)_\d+",
    conda:
        "../../envs/data.yaml"
    params:
        root=smk_raw,
    shell:
        "python {input.script} --shard {wildcards.shard} --root {params.root:q} --log {log:q}"


rule fetch_diem:
    """Bring one DIEM video and its event files: from a mirror folder, or out of the release archive."""
    input:
        script=ancient(smk_script("fetch_diem")),
    output:
        video="results/{ds}/raw/{video}/video/{video}.mp4",
        manifest="results/{ds}/raw/{video}/manifest.json",
    log:
        "logs/{ds}/download/{video}.log",
    benchmark:
        "results/{ds}/benchmarks/download/{video}.tsv"
    wildcard_constraints:
        ds="diem",
        video=smk_any_video,
    conda:
        "../../envs/data.yaml"
    params:
        root=smk_raw,
    shell:
        "python {input.script} --video {wildcards.video:q} --root {params.root:q} --log {log:q}"


rule fetch_stavis:
    """Fetch and index DIEM as preprocessed for STAViS, which stays packed; list where each video's files lie."""
    input:
        script=ancient(smk_script("fetch_stavis")),
    output:
        expand("results/diem/raw/stavis/{video}.json", video=smk_plan.videos),
    log:
        "logs/diem/download/stavis.log",
    benchmark:
        "results/diem/benchmarks/download/stavis.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        root=smk_plan.raw,
        videos=smk_plan.videos,
    shell:
        "python {input.script} --videos {params.videos:q} --root {params.root:q} --log {log:q}"


rule download:
    """Fetch one registered file of a data set, of the weights or of the baselines; verified by dynsal.download."""
    input:
        script=ancient(smk_script("download")),
    output:
        "results/{ds}/raw/{file}",
    log:
        "logs/{ds}/download/{file}.log",
    benchmark:
        "results/{ds}/benchmarks/download/{file}.tsv"
    wildcard_constraints:
        ds="|".join(smk_one_by_one),
        file=smk_registered,
    conda:
        "../../envs/data.yaml"
    shell:
        "python {input.script} --dataset {wildcards.ds} --file {wildcards.file:q}"
        " --out {output:q} --log {log:q}"


rule download_all:
    """Fetch a data set of many small files, several at once; the manifest lists them with their SHA-256."""
    input:
        script=ancient(smk_script("download")),
    output:
        "results/{ds}/raw/manifest.json",
    log:
        "logs/{ds}/download/all.log",
    benchmark:
        "results/{ds}/benchmarks/download/all.tsv"
    wildcard_constraints:
        ds="osie",
    conda:
        "../../envs/data.yaml"
    params:
        root="results/{ds}/raw",
    shell:
        "python {input.script} --dataset {wildcards.ds} --all" " --out {params.root:q} --log {log:q}"
