from snakemake.utils import min_version

min_version("9.27")


report: "report/workflow.rst"


include: "rules/common.smk"


# The first rule is what is made; a workflow that uses this one as a module keeps a first rule of its own.
rule all:
    input:
        multiext("<results>/gap", ".html", ".svg", ".png", ".vl.json"),
        multiext("<results>/cost", ".html", ".svg", ".png", ".vl.json"),
        "<results>/scores.csv",
        "<results>/histories.csv",
        "<results>/calibration.csv",
        "<results>/labels.csv",
        "<results>/lengths.csv",
        "<results>/agreements.csv",
        "<results>/examples.csv",
        "<results>/gaps.csv",
        "<results>/crossings.csv",
        "<results>/forecasts.csv",
        "<results>/curves.csv",
        "<results>/trials.csv",
        "<results>/latency.csv",
        "<results>/summary.md",
        "<results>/report.html",
        "<results>/provenance.json",


include: "rules/placement.smk"
include: "rules/data.smk"
include: "rules/vocabulary.smk"
include: "rules/train.smk"
include: "rules/evaluate.smk"
include: "rules/summary.smk"


onstart:
    check_files()
    check_cluster()


onsuccess:
    print_answer()


onerror:
    print_failures()
