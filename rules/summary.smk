# The tables that summary and report are made of, by the names that their programs have for them.
FORGOTTEN = if_forgetting("forgetting", "layers", "plane")
SUMMARISED = {
    name: paths.table(name)
    for name in "scores accuracies gaps metrics trials crossings forecasts".split()
    + FORGOTTEN[:1]
    + if_compared("probes")
    + if_transferred("transfer", "choices")
    + list(BRIDGES)
    + TARGETS
} | {"latencies": paths.table("latency")}
REPORTED = SUMMARISED | {
    name: paths.table(name)
    for name in "curves calibration labels lengths agreements examples histories".split()
    + FORGOTTEN[1:]
}


# What models read, see gap.report.reading.
ENCODED = encoded_tests()
ENCODED_FOR = shlex.join(brief([f"{dataset}/{model}" for dataset, model, _ in ENCODED]))


# The template of the report, and the works that its methods section names.
PAGE = {
    "template": ROOT / "report" / "report.html",
    "references": ROOT / "report" / "references.bib",
}


rule chart_gap:
    input:
        accuracies=paths.table("accuracies"),
        gaps=paths.table("gaps"),
    output:
        html=report(
            paths.chart("gap", "html"),
            caption="../report/gap.rst",
            category="Charts",
            labels={"shows": "accuracy and gap by number of labels"},
        ),
        svg=paths.chart("gap", "svg"),
        png=paths.chart("gap", "png"),
        spec=paths.chart("gap", "vl.json"),
    log:
        "<logs>/chart_gap.log",
    localrule: True
    conda:
        "../envs/summary.yaml"
    params:
        recipe=spell(summary_recipe()),
        program=program("chart_gap.py"),
        provenance=provenance("chart_gap.py"),
    message:
        "Drawing the gap chart"
    shell:
        "{params.program} --recipe {params.recipe:q} --accuracies {input.accuracies}"
        " --gaps {input.gaps} --html {output.html} --svg {output.svg} --png {output.png}"
        " --spec {output.spec} > {log} 2>&1"


rule chart_cost:
    input:
        **OWN_PRETRAINING,
        latencies=paths.table("latency"),
    output:
        html=report(
            paths.chart("cost", "html"),
            caption="../report/cost.rst",
            category="Charts",
            labels={"shows": "accuracy by time of inference"},
        ),
        svg=paths.chart("cost", "svg"),
        png=paths.chart("cost", "png"),
        spec=paths.chart("cost", "vl.json"),
    log:
        "<logs>/chart_cost.log",
    localrule: True
    conda:
        "../envs/summary.yaml"
    params:
        pretraining=lambda wildcards, input: options(
            {name: input[name] for name in OWN_PRETRAINING}
        ),
        recipe=spell(cost_chart_recipe()),
        program=program("chart_cost.py"),
        provenance=provenance("chart_cost.py"),
    message:
        "Drawing the cost chart"
    shell:
        "{params.program} --recipe {params.recipe:q} --latencies {input.latencies}"
        " {params.pretraining} --html {output.html} --svg {output.svg} --png {output.png} --spec {output.spec}"
        " > {log} 2>&1"


rule write_summary:
    input:
        **SUMMARISED,
        **OWN_PRETRAINING,
        cards=expand(paths.CARD, dataset=STUDY.datasets),
        encoded=[path for _, _, path in ENCODED],
    output:
        summary=report(
            paths.SUMMARY,
            caption="../report/summary.rst",
            category="Answer",
            labels={"shows": "the answer, as plain text"},
        ),
    log:
        "<logs>/write_summary.log",
    localrule: True
    conda:
        "../envs/summary.yaml"
    params:
        cards=listed("cards"),
        encoded=listed("encoded"),
        encoded_for=ENCODED_FOR,
        recipe=spell(verdict_recipe()),
        tables=lambda wildcards, input: options(
            {name: input[name] for name in [*SUMMARISED, *OWN_PRETRAINING]}
        ),
        program=program("write_summary.py"),
        provenance=provenance("write_summary.py"),
    message:
        "Writing the answer"
    shell:
        "{params.program} --recipe {params.recipe:q} {params.tables} --cards {params.cards}"
        " --encoded {params.encoded} --encoded-for {params.encoded_for}"
        " --summary {output.summary} > {log} 2>&1"


rule record_provenance:
    input:
        sources=for_each_source(paths.SOURCE_MANIFEST),
        origins=for_each_source(paths.SOURCE_ORIGIN),
        cards=expand(paths.CARD, dataset=STUDY.datasets),
        trainings=for_each_cell(paths.TRAINING),
        predictions_manifests=for_each_cell(paths.PREDICTIONS_MANIFEST),
        predictions=ancient(for_each_cell(paths.PREDICTIONS)),
    output:
        record=paths.PROVENANCE,
    log:
        "<logs>/record_provenance.log",
    localrule: True
    conda:
        "../envs/summary.yaml"
    params:
        names=shlex.join(brief(source_names())),
        sources=listed("sources"),
        origins=listed("origins"),
        cards=listed("cards"),
        trainings=listed("trainings"),
        predictions=listed("predictions"),
        recipe=spell(named_config()),
        rules=spell({name: json.loads(made) for name, made in PROGRAMS.items()}),
        program=program("record_provenance.py"),
        provenance=provenance("record_provenance.py"),
    message:
        "Recording what made the results"
    shell:
        "{params.program} --config {params.recipe:q} --rules {params.rules:q}"
        " --names {params.names} --sources {params.sources} --origins {params.origins}"
        " --cards {params.cards} --trainings {params.trainings}"
        " --predictions {params.predictions}"
        " --record {output.record} > {log} 2>&1"


rule write_report:
    input:
        **REPORTED,
        **OWN_PRETRAINING,
        provenance=paths.PROVENANCE,
        cards=expand(paths.CARD, dataset=STUDY.datasets),
        encoded=[path for _, _, path in ENCODED],
    output:
        report=report(
            paths.REPORT,
            caption="../report/report.rst",
            category="Answer",
            labels={"shows": "the answer, figures and tables"},
        ),
    log:
        "<logs>/write_report.log",
    localrule: True
    conda:
        "../envs/summary.yaml"
    params:
        **{name: sha256_file(file) for name, file in PAGE.items()},
        cards=listed("cards"),
        encoded=listed("encoded"),
        encoded_for=ENCODED_FOR,
        recipe=spell(verdict_recipe()),
        # Beside the repository's programs, wherever it lies: digests tell of a change.
        page=lambda wildcards, input: options(PAGE),
        tables=lambda wildcards, input: options(
            {name: input[name] for name in [*REPORTED, *OWN_PRETRAINING]}
        ),
        program=program("write_report.py"),
        provenance=provenance("write_report.py"),
    message:
        "Writing the report"
    shell:
        "{params.program} --recipe {params.recipe:q} --provenance {input.provenance}"
        " {params.tables} --cards {params.cards}"
        " --encoded {params.encoded} --encoded-for {params.encoded_for}"
        " {params.page} --report {output.report}"
        " > {log} 2>&1"


# On demand: snakemake --cores 1 export.
rule export:
    input:
        tables=[paths.table(name) for name in EXPORTED],
    output:
        parquet=[paths.exported(name, "parquet") for name in EXPORTED],
        latex=[paths.exported(name, "tex") for name in TABLES_OF_PAPERS],
    log:
        "<logs>/export.log",
    localrule: True
    conda:
        "../envs/summary.yaml"
    params:
        tables=listed("tables"),
        recipe=spell(export_recipe()),
        program=program("export_tables.py"),
        provenance=provenance("export_tables.py"),
    message:
        f"Exporting tables to {RESULTS}/tables"
    shell:
        "{params.program} --recipe {params.recipe:q} --tables {params.tables}"
        " --parquet {output.parquet} --latex {output.latex} > {log} 2>&1"
