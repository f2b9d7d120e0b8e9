# For models that have a classifier on each layer of a checkpoint.
rule chart_layers:
    input:
        manifests=COMPARED_LAYERS,
    output:
        table=report(
            paths.table("probes"),
            caption="../report/layers.rst",
            category="Tables",
            labels={"shows": "accuracy by layer"},
        ),
        html=report(
            paths.chart("layers", "html"),
            caption="../report/layers.rst",
            category="Charts",
            labels={"shows": "accuracy by layer"},
        ),
        svg=paths.chart("layers", "svg"),
        png=paths.chart("layers", "png"),
        spec=paths.chart("layers", "vl.json"),
    log:
        "<logs>/chart_layers.log",
    localrule: True
    conda:
        "../envs/summary.yaml"
    params:
        manifests=listed("manifests"),
        recipe=spell(summary_recipe()),
        program=program("chart_layers.py"),
        provenance=provenance("chart_layers.py"),
    message:
        "Drawing the chart of what each layer tells"
    shell:
        "{params.program} --recipe {params.recipe:q} --table {output.table}"
        " --html {output.html} --svg {output.svg} --png {output.png} --spec {output.spec}"
        " {params.manifests} > {log} 2>&1"
