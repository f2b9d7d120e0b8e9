# What fine-tuning forgets of what was pretrained, of the models that the config names.
rule measure_forgetting:
    input:
        checkpoint=lambda wildcards: source_manifest("checkpoint", checkpoint_of(wildcards)),
        ids=lambda wildcards: ancient(paths.CORPUS_IDS.format(checkpoint=checkpoint_of(wildcards))),
        training=paths.TRAINING,
        weights=ancient(paths.WEIGHTS),
    output:
        forgetting=paths.FORGETTING,
    log:
        "<logs>/measure_forgetting/{dataset}/{model}/{size}/{seeds}.log",
    wildcard_constraints:
        model=any_of(STUDY.forgetting),
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=mem_mb(forgetting_asks),
        runtime=runtime(forgetting_asks),
        gpu=gpu(forgetting_asks),
        gpu_model=gpu_model,
        slurm_partition=partition_of_run,
    params:
        cell=identity_of,
        program=program("measure_forgetting.py"),
        provenance=provenance("measure_forgetting.py"),
    message:
        "Asking {wildcards.model} of {wildcards.size} of {wildcards.dataset}, seeds {wildcards.seeds}, what it forgot"
    shell:
        "{params.program} --cell {params.cell:q} --checkpoint {input.checkpoint}"
        " --corpus-ids {input.ids} --training {input.training} --weights {input.weights}"
        " --forgetting {output.forgetting} > {log} 2>&1"


rule gather_forgetting:
    input:
        measured=FORGETTING,
    output:
        forgetting=report(
            paths.table("forgetting"),
            caption="../report/forgetting.rst",
            category="Tables",
            labels={"shows": "what fine-tuning forgets"},
        ),
        layers=paths.table("layers"),
        plane=paths.table("plane"),
    log:
        "<logs>/gather_forgetting.log",
    localrule: True
    conda:
        "../envs/summary.yaml"
    params:
        measured=listed("measured"),
        recipe=spell(gap_recipe()),
        program=program("gather_forgetting.py"),
        provenance=provenance("gather_forgetting.py"),
    message:
        "Gathering what fine-tuning forgot"
    shell:
        "{params.program} --recipe {params.recipe:q} --forgetting {output.forgetting}"
        " --layers {output.layers} --plane {output.plane} {params.measured} > {log} 2>&1"


rule chart_forgetting:
    input:
        accuracies=paths.table("accuracies"),
        forgetting=paths.table("forgetting"),
    output:
        html=report(
            paths.chart("forgetting", "html"),
            caption="../report/forgetting.rst",
            category="Charts",
            labels={"shows": "accuracy by what was forgotten"},
        ),
        svg=paths.chart("forgetting", "svg"),
        png=paths.chart("forgetting", "png"),
        spec=paths.chart("forgetting", "vl.json"),
    log:
        "<logs>/chart_forgetting.log",
    localrule: True
    conda:
        "../envs/summary.yaml"
    params:
        recipe=spell(summary_recipe()),
        program=program("chart_forgetting.py"),
        provenance=provenance("chart_forgetting.py"),
    message:
        "Drawing the chart of what was forgotten"
    shell:
        "{params.program} --recipe {params.recipe:q} --accuracies {input.accuracies}"
        " --forgetting {input.forgetting} --html {output.html} --svg {output.svg}"
        " --png {output.png} --spec {output.spec} > {log} 2>&1"
