# Only with prepare.batch above 1. Needs and makes what the rules rescale, gaze, flow and augment do, which then leave the
# videos of this data set alone. A job that fails loses the files of all its videos: Snakemake deletes its outputs.

for smk_batch in smk_batches(smk_plan):

    rule:
        """One step for several videos, one after another."""
        name:
            f"{smk_batch.step}_{smk_batch.name}"
        input:
            smk_batch.inputs,
            script=smk_script(smk_batch.step),
            code=smk_code(smk_batch.step, *([] if smk_batch.step == "augment" else [smk_dataset])),
        output:
            smk_batch.outputs,
        log:
            f"logs/{DS}/{smk_batch.step}/{smk_batch.name}.log",
        benchmark:
            f"results/{DS}/benchmarks/{smk_batch.step}/{smk_batch.name}.tsv"
        conda:
            "../../envs/data.yaml"
        params:
            words=smk_batch.words,
        shell:
            "python {input.script} {params.words:q} --log {log:q}"
