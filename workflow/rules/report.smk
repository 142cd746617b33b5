# Needs: tables, score files, models, frames, flow and gaze of the test videos, original videos.
# Makes: results/{ds}/viewer.html and the pages of the report, results/{ds}/report/*.html.
# `snakemake --report FILE` puts together what is marked by report() in these rules and in those of the figures.


wildcard_constraints:
    n="|".join(smk_paged),


rule viewer_clip:
    """Render the panels of one test video: input, flow, gaze, and the map of every net, in one video."""
    input:
        script=smk_script("viewer_clip"),
        code=smk_code("viewer_clip", smk_dataset),
        models=[
            f"results/{DS}/models/{model}/seed{smk_plan.seeds[0]}/model.safetensors"
            for model in smk_plan.models
        ],
        scores=[
            f"results/{DS}/scores/{name}/seed{seed}/{{video}}.parquet"
            for name, seed in shown.viewed_runs(smk_plan).items()
        ],
        raw=lambda wildcards: smk_plan.raw_video(wildcards.video),
        frames="results/{ds}/frames/{video}.h5",
        flow="results/{ds}/flow/{video}.h5",
        gaze="results/{ds}/gaze/{video}.parquet",
    output:
        video="results/{ds}/viewer/{video}.mp4",
        facts="results/{ds}/viewer/{video}.json",
    log:
        "logs/{ds}/viewer/{video}.log",
    benchmark:
        "results/{ds}/benchmarks/viewer_clip/{video}.tsv"
    conda:
        "../../envs/train.yaml"
    threads: 8
    resources:
        gpu=1,
    params:
        cfg=smk_plan.sections("gaze", "evaluate", dataset=["name", "source", "release", "folder"]),
        models=smk_plan.models,
        beside=[name for name in shown.viewed_runs(smk_plan) if name not in smk_plan.models],
        seed=smk_plan.seeds[0],
        root=smk_raw,
        results=smk_results,
    shell:
        "python {input.script} --video {wildcards.video:q} --models {params.models} --beside {params.beside}"
        " --seed {params.seed} --dataset {wildcards.ds} --raw {params.root:q} --results {params.results:q}"
        " --params {params.cfg:q} --threads {threads} --out {output.video:q} --facts {output.facts:q} --log {log:q}"


rule viewer_page:
    """The viewer of one test video: small enough for a browser to show it inside the report."""
    input:
        script=smk_script("viewer"),
        code=smk_code("viewer"),
        web=smk_viewer,
        video="results/{ds}/viewer/{video}.mp4",
        facts="results/{ds}/viewer/{video}.json",
    output:
        report(
            "results/{ds}/viewer/{video}.html",
            category="2 Viewer",
            labels={"test video": "{video}"},
            caption="../report/viewer.rst",
        ),
    log:
        "logs/{ds}/viewer/{video}.page.log",
    conda:
        "../../envs/train.yaml"
    shell:
        "python {input.script} --videos {input.video:q} --facts {input.facts:q} --out {output:q} --log {log:q}"


rule viewer:
    """The viewer of all shown test videos, one page."""
    input:
        script=smk_script("viewer"),
        code=smk_code("viewer"),
        web=smk_viewer,
        videos=expand("results/{{ds}}/viewer/{video}.mp4", video=smk_viewed),
        facts=shown.viewer_facts(smk_plan),
    output:
        "results/{ds}/viewer.html",
    log:
        "logs/{ds}/viewer/all.log",
    conda:
        "../../envs/train.yaml"
    shell:
        "python {input.script} --videos {input.videos:q} --facts {input.facts:q} --out {output:q} --log {log:q}"


rule table_page:
    """A table with all its columns, its notes, and the tables behind it."""
    input:
        script=smk_script("table_page"),
        code=smk_code("table_page"),
        web=smk_page,
        table="results/{ds}/table{n}.md",
        details=lambda wildcards: [
            f"results/{wildcards.ds}/table{wildcards.n}_{name}.csv" for name in smk_paged[wildcards.n][1]
        ],
    output:
        report(
            "results/{ds}/report/table{n}.html",
            category="1 Tables",
            labels={"table": "Table {n}", "data set": "{ds}"},
            caption="../report/table.rst",
        ),
    log:
        "logs/{ds}/report/table{n}.log",
    wildcard_constraints:
        ds="|".join(smk_plans),
    conda:
        "../../envs/tables.yaml"
    shell:
        "python {input.script} --title 'Table {wildcards.n}, {wildcards.ds}' --table {input.table:q}"
        " --details {input.details:q} --out {output:q} --log {log:q}"


rule provenance_page:
    """Where a table comes from: commit, versions, hardware, trainings, configuration, checksums of data and weights."""
    input:
        script=smk_script("provenance_page"),
        code=smk_code("provenance_page"),
        web=smk_page,
        record="results/{ds}/table{n}_provenance.json",
        files=smk_hashed,
    output:
        report(
            "results/{ds}/report/provenance{n}.html",
            category="5 Provenance",
            labels={"result": "Table {n}", "data set": "{ds}"},
            caption="../report/provenance.rst",
        ),
    log:
        "logs/{ds}/report/provenance{n}.log",
    wildcard_constraints:
        ds="|".join(smk_plans),
    conda:
        "../../envs/tables.yaml"
    shell:
        "python {input.script} --title 'Provenance of Table {wildcards.n}, {wildcards.ds}' --record {input.record:q}"
        " --files {input.files:q} --out {output:q} --log {log:q}"


rule runtimes_page:
    """Wall time and memory of every step and job up to a table, from Snakemake's benchmark files."""
    input:
        script=smk_script("runtimes_page"),
        code=smk_code("runtimes_page"),
        web=smk_page,
        records=lambda wildcards: [
            f"results/{ds}/table{n}_provenance.json"
            for n, (ds, _) in smk_paged.items()
            if ds == wildcards.ds and n <= wildcards.n
        ],
        viewer=lambda wildcards: shown.viewer_facts(smk_plan) if wildcards.ds == DS else [],
    output:
        report(
            "results/{ds}/report/runtimes{n}.html",
            category="4 Runtimes",
            labels={"data set": "{ds}"},
            caption="../report/runtimes.rst",
        ),
    log:
        "logs/{ds}/report/runtimes{n}.log",
    wildcard_constraints:
        ds="|".join(smk_plans),
    conda:
        "../../envs/tables.yaml"
    params:
        benchmarks="results/{ds}/benchmarks",
    shell:
        "python {input.script} --title 'Runtimes, {wildcards.ds}' --benchmarks {params.benchmarks:q}"
        " --records {input.records:q} --out {output:q} --log {log:q}"


rule report:
    """All that the report shows; `snakemake --report results/report.html --report-after-run -- report` writes it."""
    input:
        lambda wildcards: smk_reported("1", "2", "3"),


rule report1:
    """The same for Table 1 alone: no baselines, no still images."""
    input:
        lambda wildcards: smk_reported("1"),
