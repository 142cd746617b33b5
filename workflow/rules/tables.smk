# Needs: score files. Makes: results/{ds}/table1.* and, for the configured data set, results/table1.*.

TABLE1 = [
    "table1.csv",
    "table1.md",
    "table1_differences.csv",
    "table1_per_video.csv",
    "table1_provenance.json",
    "costs.csv",
]


rule table1_of:
    """Aggregate per-frame scores: means over videos, bootstrap intervals, paired differences, provenance."""
    input:
        script=smk_script("table1"),
        code=smk_code("table1"),
        scores=lambda wildcards: smk_plan.all_scores(),
        paper=smk_relative("resources/paper/table1.csv"),
    output:
        expand("results/{{ds}}/{name}", name=TABLE1),
    log:
        "logs/{ds}/tables/table1.log",
    conda:
        "../../envs/tables.yaml"
    params:
        cfg=smk_plan.params(*smk_plan.config.model_fields_set | set(type(smk_plan.config).model_fields)),
        results=smk_results,
    shell:
        "python {input.script} --results {params.results:q} --paper {input.paper:q} --params {params.cfg:q}"
        " --out {params.results:q} --log {log:q}"


rule publish_table1:
    """Copy the configured data set's Table 1 to results/."""
    input:
        expand(f"results/{DS}/{{name}}", name=TABLE1[:-1]),
    output:
        expand("results/{name}", name=TABLE1[:-1]),
    log:
        "logs/tables/publish.log",
    localrule: True
    conda:
        "../../envs/tables.yaml"
    shell:
        "cp {input:q} results/ 2> {log:q}"
