rule predict:
    input:
        unpack(lambda wildcards: text_inputs(wildcards, "test")),
        unpack(checkpoint_inputs),
        manifest=paths.TEST_MANIFEST,
        test=ancient(paths.TEST),
        training=paths.TRAINING,
        weights=ancient(paths.WEIGHTS),
    output:
        predictions=paths.PREDICTIONS,
        predictions_manifest=paths.PREDICTIONS_MANIFEST,
    log:
        "<logs>/predict/{dataset}/{model}/{size}/{seeds}.log",
    group:
        group_of_run
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=mem_mb(predict_asks),
        runtime=runtime(predict_asks, share=0.15),
        gpu=gpu(predict_asks),
        gpu_model=gpu_model,
        slurm_partition=partition_of_run,
    params:
        options=model_options,
        cell=identity_of,
        recipe=lambda wildcards: spell(recipe_of(wildcards)),
        program=program("predict.py"),
        provenance=lambda wildcards: provenance("predict.py", [wildcards.model]),
    message:
        "Scoring the test texts of {wildcards.dataset} with {wildcards.model} of {wildcards.size}, seeds {wildcards.seeds}"
    shell:
        "{params.program} --recipe {params.recipe:q} --provenance {params.provenance:q}"
        " --cell {params.cell:q} {params.options}"
        " --manifest {input.manifest} --test {input.test}"
        " --training {input.training} --weights {input.weights}"
        " --predictions {output.predictions}"
        " --predictions-manifest {output.predictions_manifest} > {log} 2>&1"


rule score:
    input:
        paths.PREDICTIONS_MANIFEST,
        predictions=ancient(paths.PREDICTIONS),
    output:
        scores=paths.SCORES,
    log:
        "<logs>/score/{dataset}/{model}/{size}/{seeds}.log",
    group:
        group_of_run
    conda:
        "../envs/summary.yaml"
    resources:
        mem_mb=mem_mb(score_asks),
        runtime=runtime(score_asks, share=0.05),
        slurm_partition=partition_of_run,
    params:
        program=program("score.py"),
        provenance=provenance("score.py"),
    message:
        "Metrics of {wildcards.model} of {wildcards.size} of {wildcards.dataset}, seeds {wildcards.seeds}"
    shell:
        "{params.program} --predictions {input.predictions} --scores {output.scores} > {log} 2>&1"


rule gather:
    input:
        origins=OWN_ORIGINS,
        generators=[paths.BRIDGE_MANIFEST.format(checkpoint=name) for name in BRIDGED],
        trainings=for_each_cell(paths.TRAINING),
        scores=for_each_cell(paths.SCORES),
        cards=expand(paths.CARD, dataset=STUDY.datasets),
    output:
        **OWN_PRETRAINING,
        **BRIDGES,
        table=report(
            paths.table("scores"),
            caption="../report/scores.rst",
            category="Tables",
            labels={"shows": "scores of all runs"},
        ),
        trials=paths.table("trials"),
        histories=paths.table("histories"),
        calibration=paths.table("calibration"),
        labels=paths.table("labels"),
    log:
        "<logs>/gather.log",
    localrule: True
    conda:
        "../envs/summary.yaml"
    params:
        cards=listed("cards"),
        trainings=listed("trainings"),
        scores=listed("scores"),
        begins=spell(BEGUN_WITH),
        own=lambda wildcards, input, output: own_options(input, output),
        program=program("gather.py"),
        provenance=provenance("gather.py"),
    message:
        "Gathering the metrics of all runs"
    shell:
        "{params.program} --table {output.table} --trials {output.trials}"
        " --histories {output.histories} --calibration {output.calibration}"
        " --labels {output.labels} --cards {params.cards} --trainings {params.trainings}"
        " --begins {params.begins:q} {params.own}"
        " -- {params.scores} > {log} 2>&1"


rule estimate_gap:
    input:
        for_each_cell(paths.PREDICTIONS_MANIFEST),
        predictions=ancient(for_each_cell(paths.PREDICTIONS)),
    output:
        accuracies=paths.table("accuracies"),
        gaps=report(
            paths.table("gaps"),
            caption="../report/gaps.rst",
            category="Tables",
            labels={"shows": "gaps with intervals"},
        ),
        metrics=paths.table("metrics"),
    log:
        "<logs>/estimate_gap.log",
    conda:
        "../envs/summary.yaml"
    resources:
        mem_mb=mem_mb(estimate_gap_asks),
        runtime=runtime(estimate_gap_asks),
    params:
        predictions=listed("predictions"),
        recipe=spell(gap_recipe()),
        program=program("estimate_gap.py"),
        provenance=provenance("estimate_gap.py"),
    message:
        f"Estimating gaps to {STUDY.reference}"
    shell:
        "{params.program} --recipe {params.recipe:q} --accuracies {output.accuracies}"
        " --gaps {output.gaps} --metrics {output.metrics} {params.predictions} > {log} 2>&1"


rule forecast_gap:
    input:
        for_each_cell(paths.PREDICTIONS_MANIFEST),
        predictions=ancient(for_each_cell(paths.PREDICTIONS)),
    output:
        crossings=report(
            paths.table("crossings"),
            caption="../report/crossings.rst",
            category="Tables",
            labels={"shows": "from which size on gaps are closed"},
        ),
        forecasts=paths.table("forecasts"),
        curves=paths.table("curves"),
    log:
        "<logs>/forecast_gap.log",
    conda:
        "../envs/summary.yaml"
    resources:
        mem_mb=mem_mb(estimate_gap_asks),
        runtime=runtime(estimate_gap_asks),
    params:
        predictions=listed("predictions"),
        recipe=spell(forecast_recipe()),
        program=program("forecast_gap.py"),
        provenance=provenance("forecast_gap.py"),
    message:
        f"Forecasting the size at which gaps to {STUDY.reference} close"
    shell:
        "{params.program} --recipe {params.recipe:q} --crossings {output.crossings}"
        " --forecasts {output.forecasts} --curves {output.curves} {params.predictions} > {log} 2>&1"


# For studies with a target.
rule price_target:
    input:
        for_each_cell(paths.PREDICTIONS_MANIFEST),
        predictions=ancient(for_each_cell(paths.PREDICTIONS)),
        trials=paths.table("trials"),
        latencies=paths.table("latency"),
        cards=expand(paths.CARD, dataset=STUDY.datasets),
    output:
        table=report(
            paths.table("targets"),
            caption="../report/targets.rst",
            category="Tables",
            labels={"shows": "what a target takes"},
        ),
    log:
        "<logs>/price_target.log",
    conda:
        "../envs/summary.yaml"
    resources:
        mem_mb=mem_mb(estimate_gap_asks),
        runtime=runtime(estimate_gap_asks),
    params:
        cards=listed("cards"),
        predictions=listed("predictions"),
        recipe=spell(target_recipe()),
        program=program("price_target.py"),
        provenance=provenance("price_target.py"),
    message:
        "Pricing what it takes to reach the target"
    shell:
        "{params.program} --recipe {params.recipe:q} --trials {input.trials}"
        " --latencies {input.latencies} --cards {params.cards} --targets {output.table}"
        " {params.predictions} > {log} 2>&1"


rule examine_errors:
    input:
        for_each_cell(paths.PREDICTIONS_MANIFEST),
        expand(paths.TEST_MANIFEST, dataset=STUDY.datasets),
        predictions=ancient(for_each_cell(paths.PREDICTIONS)),
        tests=ancient(expand(paths.TEST, dataset=STUDY.datasets)),
        cards=expand(paths.CARD, dataset=STUDY.datasets),
    output:
        lengths=paths.table("lengths"),
        agreements=paths.table("agreements"),
        examples=paths.table("examples"),
    log:
        "<logs>/examine_errors.log",
    conda:
        "../envs/summary.yaml"
    resources:
        mem_mb=mem_mb(estimate_gap_asks),
        runtime=runtime(estimate_gap_asks),
    params:
        cards=listed("cards"),
        predictions=listed("predictions"),
        tests=listed("tests"),
        recipe=spell(errors_recipe()),
        program=program("examine_errors.py"),
        provenance=provenance("examine_errors.py"),
    message:
        "Examining where models err"
    shell:
        "{params.program} --recipe {params.recipe:q} --lengths {output.lengths}"
        " --agreements {output.agreements} --examples {output.examples}"
        " --cards {params.cards} --tests {params.tests} -- {params.predictions} > {log} 2>&1"


# A job of its own, beside which nothing else runs, since it measures times.
rule measure_latency:
    input:
        unpack(latency_inputs),
        manifest=paths.TEST_MANIFEST,
        test=ancient(paths.TEST),
    output:
        latency=paths.LATENCY,
    log:
        "<logs>/measure_latency/{dataset}.log",
    conda:
        "../envs/train.yaml"
    threads: ALONE
    resources:
        mem_mb=mem_mb(latency_asks),
        runtime=runtime(latency_asks),
        gpu=gpu(latency_asks),
        gpu_model=lambda wildcards: SITE.gpu_type if timed_on_gpu(wildcards) else None,
        slurm_partition=lambda wildcards: SITE.partition(timed_on_gpu(wildcards)),
    params:
        options=latency_options,
        recipe=lambda wildcards: spell(latency_recipe(wildcards)),
        program=program("measure_latency.py"),
        provenance=lambda wildcards: provenance(
            "measure_latency.py", [cell.model for cell in timed_of(wildcards.dataset)]
        ),
    message:
        "Measuring what inference costs on {wildcards.dataset}"
    shell:
        "{params.program} --recipe {params.recipe:q} {params.options}"
        " --manifest {input.manifest} --test {input.test} --latency {output.latency}"
        " > {log} 2>&1"


rule gather_latency:
    input:
        latencies=expand(
            paths.LATENCY,
            dataset=[dataset for dataset in STUDY.datasets if timed_of(dataset)],
        ),
        accuracies=paths.table("accuracies"),
    output:
        table=report(
            paths.table("latency"),
            caption="../report/latency.rst",
            category="Tables",
            labels={"shows": "what inference costs"},
        ),
    log:
        "<logs>/gather_latency.log",
    localrule: True
    conda:
        "../envs/summary.yaml"
    params:
        latencies=listed("latencies"),
        recipe=spell({"reference": STUDY.reference}),
        program=program("gather_latency.py"),
        provenance=provenance("gather_latency.py"),
    message:
        "Gathering what inference costs"
    shell:
        "{params.program} --recipe {params.recipe:q} --accuracies {input.accuracies}"
        " --table {output.table} {params.latencies} > {log} 2>&1"
