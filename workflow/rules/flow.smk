# Needs: results/{ds}/raw and results/{ds}/frames. Makes: results/{ds}/flow/{video}.h5.


rule flow:
    """Optical flow between consecutive rescaled frames; as many single-threaded processes per video as it has threads."""
    input:
        script=smk_script("flow"),
        code=smk_code("flow", smk_dataset),
        raw=lambda wildcards: smk_plan.flow_source(wildcards.video),
        frames="results/{ds}/frames/{video}.h5",
    output:
        "results/{ds}/flow/{video}.h5",
    log:
        "logs/{ds}/flow/{video}.log",
    benchmark:
        "results/{ds}/benchmarks/flow/{video}.tsv"
    wildcard_constraints:
        ds=smk_single,
    conda:
        "../../envs/data.yaml"
    # Videos side by side are the better use of cores; `--set-threads flow=8` is for those longer than the wait.
    threads: 1
    params:
        cfg=smk_plan.fields(**smk_fields["flow"]),
        estimator=smk_plan.config.flow.estimator,
        direction=smk_plan.config.flow.direction,
        root=smk_raw,
    shell:
        "python {input.script} --video {wildcards.video:q} --raw {params.root:q} --frames {input.frames:q}"
        " --estimator {params.estimator} --direction {params.direction} --processes {threads} --params {params.cfg:q}"
        " --out {output:q} --log {log:q}"
