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
        code=code_digest("chart_gap.py"),
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
        code=code_digest("write_summary.py"),
    message:
        "Writing the answer"
    shell:
        "python {input.script} --recipe {params.recipe:q} --scores {input.scores}"
        " --accuracies {input.accuracies} --gaps {input.gaps} --cards {input.cards}"
        " --summary {output.summary} > {log} 2>&1"
