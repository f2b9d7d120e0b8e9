from snakemake.utils import min_version

min_version("9.27")


report: "report/workflow.rst"


include: "rules/common.smk"


# The first rule is what is made; a workflow that uses this one as a module keeps a first rule of its own.
rule all:
    input:
        [paths.chart(name, end) for name in ("gap", "cost") for end in paths.CHART_FORMATS],
        paths.table("scores"),
        paths.table("histories"),
        paths.table("calibration"),
        paths.table("labels"),
        paths.table("lengths"),
        paths.table("agreements"),
        paths.table("examples"),
        paths.table("gaps"),
        paths.table("metrics"),
        paths.table("crossings"),
        paths.table("forecasts"),
        paths.table("curves"),
        paths.table("trials"),
        paths.table("latency"),
        if_forgetting(*(paths.chart("forgetting", end) for end in paths.CHART_FORMATS)),
        if_compared(*(paths.chart("layers", end) for end in paths.CHART_FORMATS)),
        if_transferred(*(paths.chart("transfer", end) for end in paths.CHART_FORMATS)),
        paths.SUMMARY,
        paths.REPORT,
        paths.PROVENANCE,


include: "rules/placement.smk"
include: "rules/data.smk"
include: "rules/pretrain.smk"
include: "rules/transfer.smk"
include: "rules/bridge.smk"
include: "rules/vocabulary.smk"
include: "rules/train.smk"
include: "rules/evaluate.smk"
include: "rules/forgetting.smk"
include: "rules/layers.smk"
include: "rules/summary.smk"


onstart:
    lift_default_rate()
    check_files()
    check_cluster()


onsuccess:
    print_answer()


onerror:
    print_failures()
