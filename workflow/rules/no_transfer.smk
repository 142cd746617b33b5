# Without a section transfer in the configuration. Makes: nothing; says what is missing.


rule no_table3:
    """Say why there is no Table 3."""
    input:
        lambda wildcards: smk_still_data(),
    output:
        "results/table3.csv",
    log:
        "logs/tables/no_table3.log",
    localrule: True
    conda:
        "../../envs/tables.yaml"
    shell:
        "exit 1 2> {log:q}"
