# Needs: frames and flow at the working size. Makes: results/{ds}/augmented/x{factor}/{video}.h5 (frames and flow).


rule augment:
    """Low-resolution copies of a training video: frames averaged down, flow vectors divided by the factor."""
    input:
        script=smk_script("augment"),
        code=smk_code("augment"),
        frames="results/{ds}/frames/{video}.h5",
        flow="results/{ds}/flow/{video}.h5",
    output:
        expand("results/{{ds}}/augmented/x{factor}/{{video}}.h5", factor=smk_plan.all_factors()),
    log:
        "logs/{ds}/augment/{video}.log",
    benchmark:
        "results/{ds}/benchmarks/augment/{video}.tsv"
    wildcard_constraints:
        ds=smk_single,
    conda:
        "../../envs/data.yaml"
    params:
        factors=smk_plan.all_factors(),
        quality=smk_plan.config.prepare.jpeg_quality,
    shell:
        "python {input.script} --frames {input.frames:q} --flow {input.flow:q} --factors {params.factors}"
        " --jpeg-quality {params.quality} --out {output:q} --log {log:q}"
