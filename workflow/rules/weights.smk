# Needs: a published .caffemodel (the download rule, data set `weights`). Makes: results/weights/{name}.safetensors.


rule weights:
    """Take the weights of net.init salnet or vggm over from Caffe's format."""
    input:
        script=smk_script("weights"),
        code=smk_code("weights"),
        caffemodel=lambda wildcards: f"results/weights/raw/{layout.PUBLISHED_WEIGHTS[wildcards.name]}",
    output:
        "results/weights/{name}.safetensors",
    log:
        "logs/weights/{name}.log",
    benchmark:
        "results/weights/benchmarks/weights/{name}.tsv"
    wildcard_constraints:
        name="|".join(layout.PUBLISHED_WEIGHTS),
    conda:
        "../../envs/train.yaml"
    shell:
        "python {input.script} --name {wildcards.name} --caffemodel {input.caffemodel:q} --out {output:q} --log {log:q}"
