rule chart_gap:
    input:
        accuracies="<results>/accuracies.csv",
        gaps="<results>/gaps.csv",
        script=script("chart_gap.py"),
    output:
        html="<results>/gap.html",
        svg="<results>/gap.svg",
        png="<results>/gap.png",
        spec="<results>/gap.vl.json",
    log:
        "<logs>/chart_gap.log",
    conda:
        "../envs/summary.yaml"
    params:
        recipe=canonical_json(summary_recipe()),
        provenance=provenance("chart_gap.py"),
    message:
        "Drawing the gap chart"
    shell:
        "python {input.script} --recipe {params.recipe:q} --accuracies {input.accuracies}"
        " --gaps {input.gaps} --html {output.html} --svg {output.svg} --png {output.png}"
        " --spec {output.spec} > {log} 2>&1"


rule write_summary:
    input:
        scores="<results>/scores.csv",
        accuracies="<results>/accuracies.csv",
        gaps="<results>/gaps.csv",
        cards=expand("<results>/datasets/{dataset}/card.json", dataset=config["datasets"]),
        script=script("write_summary.py"),
    output:
        summary="<results>/summary.md",
    log:
        "<logs>/write_summary.log",
    conda:
        "../envs/summary.yaml"
    params:
        recipe=canonical_json(summary_recipe()),
        provenance=provenance("write_summary.py"),
    message:
        "Writing the answer"
    shell:
        "python {input.script} --recipe {params.recipe:q} --scores {input.scores}"
        " --accuracies {input.accuracies} --gaps {input.gaps} --cards {input.cards}"
        " --summary {output.summary} > {log} 2>&1"


rule record_provenance:
    input:
        sources=source_manifests(),
        cards=expand("<results>/datasets/{dataset}/card.json", dataset=config["datasets"]),
        trainings=for_each_cell("<results>/runs/{dataset}/{model}/{size}/{seeds}/training.json"),
        predictions=for_each_cell(
            "<results>/runs/{dataset}/{model}/{size}/{seeds}/predictions.json"
        ),
        script=script("record_provenance.py"),
    output:
        record="<results>/provenance.json",
    log:
        "<logs>/record_provenance.log",
    conda:
        "../envs/summary.yaml"
    params:
        recipe=canonical_json(named_config()),
        rules=canonical_json({name: json.loads(made) for name, made in PROGRAMS.items()}),
        provenance=provenance("record_provenance.py"),
    message:
        "Recording what made the results"
    shell:
        "python {input.script} --config {params.recipe:q} --rules {params.rules:q}"
        " --sources {input.sources} --cards {input.cards} --trainings {input.trainings}"
        " --record {output.record} > {log} 2>&1"
