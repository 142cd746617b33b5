# Needs: score files (and timings for Table 2).
# Makes: results/{ds}/table{1,2}* and, for the configured data set, results/table{1,2}*.

TABLE1 = [
    "table1.csv",
    "table1.md",
    "table1_differences.csv",
    "table1_per_video.csv",
    "table1_provenance.json",
    "costs.csv",
]
TABLE2 = [
    "table2.csv",
    "table2.md",
    "table2_differences.csv",
    "table2_against_best.csv",
    "table2_per_video.csv",
    "table2_provenance.json",
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


rule table2_of:
    """The last net of Table 1 against the baselines: the same statistics, and the difference to the best baseline."""
    input:
        script=smk_script("table2"),
        code=smk_code("table2"),
        scores=smk_plan.compared_scores(),
        timings="results/{ds}/timings.csv",
        paper=smk_relative("resources/paper/table2.csv"),
    output:
        expand("results/{{ds}}/{name}", name=TABLE2),
    log:
        "logs/{ds}/tables/table2.log",
    conda:
        "../../envs/tables.yaml"
    params:
        cfg=smk_plan.params(*smk_plan.config.model_fields_set | set(type(smk_plan.config).model_fields)),
        results=smk_results,
    shell:
        "python {input.script} --results {params.results:q} --timings {input.timings:q} --paper {input.paper:q}"
        " --params {params.cfg:q} --out {params.results:q} --log {log:q}"


rule publish_table1:
    """Copy the configured data set's Table 1 to results/."""
    input:
        expand(f"results/{DS}/{{name}}", name=TABLE1[:-1]),
    output:
        expand("results/{name}", name=TABLE1[:-1]),
    log:
        "logs/tables/publish_table1.log",
    localrule: True
    conda:
        "../../envs/tables.yaml"
    shell:
        "cp {input:q} results/ 2> {log:q}"


rule publish_table2:
    """Copy the configured data set's Table 2 to results/."""
    input:
        expand(f"results/{DS}/{{name}}", name=TABLE2),
    output:
        expand("results/{name}", name=TABLE2),
    log:
        "logs/tables/publish_table2.log",
    localrule: True
    conda:
        "../../envs/tables.yaml"
    shell:
        "cp {input:q} results/ 2> {log:q}"
