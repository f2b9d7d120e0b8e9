from snakemake.utils import min_version

min_version("9.27")


configfile: "config.yaml"


include: "rules/common.smk"
include: "rules/data.smk"
include: "rules/vocabulary.smk"
include: "rules/train.smk"
include: "rules/evaluate.smk"
include: "rules/summary.smk"


rule all:
    default_target: True
    input:
        multiext("<results>/gap", ".html", ".svg", ".png", ".vl.json"),
        "<results>/scores.csv",
        "<results>/gaps.csv",
        "<results>/summary.md",
        "<results>/provenance.json",


onsuccess:
    print_answer()


onerror:
    print_failures()
