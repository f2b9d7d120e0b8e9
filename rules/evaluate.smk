rule predict:
    input:
        unpack(lambda wildcards: text_inputs(wildcards, "test")),
        unpack(checkpoint_inputs),
        manifest="<results>/datasets/{dataset}/test.json",
        test=ancient("<results>/datasets/{dataset}/test.parquet"),
        training="<results>/runs/{dataset}/{model}/{size}/{seeds}/training.json",
        weights=ancient("<results>/runs/{dataset}/{model}/{size}/{seeds}/weights"),
        script=script("predict.py"),
    output:
        predictions="<results>/runs/{dataset}/{model}/{size}/{seeds}/predictions.parquet",
        predictions_manifest="<results>/runs/{dataset}/{model}/{size}/{seeds}/predictions.json",
    log:
        "<logs>/predict/{dataset}/{model}/{size}/{seeds}.log",
    conda:
        "../envs/train.yaml"
    threads: 1
    params:
        options=model_options,
        cell=lambda wildcards: canonical_json(
            pick(dict(wildcards.items()), "dataset", "model", "size")
        ),
        recipe=lambda wildcards: canonical_json(recipe_of(wildcards)),
        provenance=provenance("predict.py"),
    message:
        "Scoring the test texts of {wildcards.dataset} with {wildcards.model} of {wildcards.size}, seeds {wildcards.seeds}"
    shell:
        "python {input.script} --recipe {params.recipe:q} --provenance {params.provenance:q}"
        " --cell {params.cell:q} {params.options}"
        " --manifest {input.manifest} --test {input.test}"
        " --training {input.training} --weights {input.weights}"
        " --predictions {output.predictions} > {log} 2>&1"


rule score:
    input:
        "<results>/runs/{dataset}/{model}/{size}/{seeds}/predictions.json",
        predictions=ancient("<results>/runs/{dataset}/{model}/{size}/{seeds}/predictions.parquet"),
        script=script("score.py"),
    output:
        scores="<results>/runs/{dataset}/{model}/{size}/{seeds}/scores.json",
    log:
        "<logs>/score/{dataset}/{model}/{size}/{seeds}.log",
    conda:
        "../envs/summary.yaml"
    params:
        provenance=provenance("score.py"),
    message:
        "Metrics of {wildcards.model} of {wildcards.size} of {wildcards.dataset}, seeds {wildcards.seeds}"
    shell:
        "python {input.script} --predictions {input.predictions} --scores {output.scores} > {log} 2>&1"


rule gather:
    input:
        scores=for_each_cell("<results>/runs/{dataset}/{model}/{size}/{seeds}/scores.json"),
        script=script("gather.py"),
    output:
        table="<results>/scores.csv",
    log:
        "<logs>/gather.log",
    conda:
        "../envs/summary.yaml"
    params:
        provenance=provenance("gather.py"),
    message:
        "Gathering the metrics of all runs"
    shell:
        "python {input.script} --table {output.table} {input.scores} > {log} 2>&1"


rule estimate_gap:
    input:
        for_each_cell("<results>/runs/{dataset}/{model}/{size}/{seeds}/predictions.json"),
        predictions=ancient(
            for_each_cell("<results>/runs/{dataset}/{model}/{size}/{seeds}/predictions.parquet")
        ),
        script=script("estimate_gap.py"),
    output:
        accuracies="<results>/accuracies.csv",
        gaps="<results>/gaps.csv",
    log:
        "<logs>/estimate_gap.log",
    conda:
        "../envs/summary.yaml"
    params:
        recipe=canonical_json({"reference": config["reference"], "seed": 0} | config["gap"]),
        provenance=provenance("estimate_gap.py"),
    message:
        "Estimating gaps to {config[reference]}"
    shell:
        "python {input.script} --recipe {params.recipe:q} --accuracies {output.accuracies}"
        " --gaps {output.gaps} {input.predictions} > {log} 2>&1"
