# Needs: results/{ds}/raw. Makes: results/{ds}/frames/{video}.h5 and results/{ds}/gaze/{video}.parquet.


rule rescale:
    """Decode a video once, in order, and store its frames at the working size."""
    input:
        script=smk_script("rescale"),
        code=lambda wildcards: smk_code("rescale", smk_dataset_of(wildcards)),
        raw=lambda wildcards: smk_of(wildcards).raw_video(wildcards.video),
    output:
        "results/{ds}/frames/{video}.h5",
    log:
        "logs/{ds}/rescale/{video}.log",
    benchmark:
        "results/{ds}/benchmarks/rescale/{video}.tsv"
    wildcard_constraints:
        ds="|".join([smk_single, *(ds for ds in smk_plans if ds != DS)]),
    conda:
        "../../envs/data.yaml"
    params:
        cfg=lambda wildcards: smk_of(wildcards).fields(**smk_fields["rescale"]),
        root=smk_raw,
    shell:
        "python {input.script} --video {wildcards.video:q} --raw {params.root:q} --params {params.cfg:q}"
        " --out {output:q} --log {log:q}"


rule gaze:
    """Read a video's gaze, keep the valid fixations, and map them to the working size."""
    input:
        script=smk_script("gaze"),
        code=lambda wildcards: smk_code("gaze", smk_dataset_of(wildcards)),
        raw=lambda wildcards: smk_of(wildcards).raw_gaze(wildcards.video),
        frames="results/{ds}/frames/{video}.h5",
    output:
        "results/{ds}/gaze/{video}.parquet",
    log:
        "logs/{ds}/gaze/{video}.log",
    benchmark:
        "results/{ds}/benchmarks/gaze/{video}.tsv"
    wildcard_constraints:
        ds="|".join([smk_single, *(ds for ds in smk_plans if ds != DS)]),
    conda:
        "../../envs/data.yaml"
    params:
        cfg=lambda wildcards: smk_of(wildcards).fields(**smk_fields["gaze"]),
        root=smk_raw,
    shell:
        "python {input.script} --video {wildcards.video:q} --raw {params.root:q} --frames {input.frames:q}"
        " --params {params.cfg:q} --out {output:q} --log {log:q}"
