from snakemake.utils import min_version

min_version("9.27")


configfile: "config.yaml"


report: "report/workflow.rst"


include: "rules/common.smk"
include: "rules/placement.smk"
include: "rules/data.smk"
include: "rules/vocabulary.smk"
include: "rules/train.smk"
include: "rules/evaluate.smk"
include: "rules/summary.smk"


rule all:
    default_target: True
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


onstart:
    check_files()
    check_cluster()


onsuccess:
    print_answer()


onerror:
    print_failures()
