# It writes what `download` writes for a checkpoint that is fetched.
rule make_checkpoint:
    input:
        unpack(trained_inputs),
    output:
        manifest=source_manifest("checkpoint", "{checkpoint}"),
        origin=paths.SOURCE_ORIGIN.format(source="checkpoint-{checkpoint}"),
        files=directory(paths.SOURCE_FILES.format(source="checkpoint-{checkpoint}")),
    log:
        "<logs>/make_checkpoint/{checkpoint}.log",
    wildcard_constraints:
        checkpoint=any_of(STUDY.trained),
    priority: FIRST
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=mem_mb(make_checkpoint_asks),
        runtime=runtime(make_checkpoint_asks),
        slurm_partition=SITE.partition(False),
    params:
        recipe=lambda wildcards: spell(deciding(STUDY.trained[wildcards.checkpoint])),
        dataset=lambda wildcards: STUDY.trained[wildcards.checkpoint].dataset,
        others=trained_options,
        program=program("make_checkpoint.py"),
        provenance=provenance("make_checkpoint.py"),
    message:
        "Making a checkpoint of a run: {wildcards.checkpoint}"
    shell:
        "{params.program} --recipe {params.recipe:q} --weights {input.weights}"
        " --subsample {input.subsample} --pool {params.dataset}={input.pool} {params.others}"
        " --files {output.files} --manifest {output.manifest} --origin {output.origin}"
        " > {log} 2>&1"


# How alike two data sets are, before what was trained on the one is taken to the other.
rule measure_similarity:
    input:
        unpack(similarity_inputs),
    output:
        similarity=paths.SIMILARITY,
    log:
        "<logs>/measure_similarity/{dataset}/{model}/{size}.log",
    wildcard_constraints:
        model=any_of(STUDY.transfer),
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=mem_mb(similarity_asks),
        runtime=runtime(similarity_asks),
        slurm_partition=SITE.partition(False),
    params:
        cell=identity_of,
        seed=lambda wildcards: parse_seeds(run_from_scratch(wildcards).seeds)[0],
        recipe=lambda wildcards: spell(recipe_of(run_from_scratch(wildcards))),
        source=lambda wildcards: spell(deciding(source_of(wildcards))),
        options=similarity_options,
        program=program("measure_similarity.py"),
        provenance=provenance("measure_similarity.py"),
    message:
        "Comparing {wildcards.dataset} with what {wildcards.model} began on, {wildcards.size} labels"
    shell:
        "{params.program} --cell {params.cell:q} --recipe {params.recipe:q} --seed {params.seed}"
        " --source {params.source:q} {params.options} --similarity {output.similarity} > {log} 2>&1"


rule foretell_transfer:
    input:
        gaps=paths.table("gaps"),
        similarities=SIMILARITIES,
    output:
        transfer=report(
            paths.table("transfer"),
            caption="../report/transfer.rst",
            category="Tables",
            labels={"shows": "what starts on other data sets gain"},
        ),
        choices=report(
            paths.table("choices"),
            caption="../report/transfer.rst",
            category="Tables",
            labels={"shows": "rules that choose a start"},
        ),
    log:
        "<logs>/foretell_transfer.log",
    localrule: True
    conda:
        "../envs/train.yaml"
    params:
        similarities=listed("similarities"),
        recipe=spell(gap_recipe()),
        program=program("foretell_transfer.py"),
        provenance=provenance("foretell_transfer.py"),
    message:
        "Foretelling what starts on other data sets gain"
    shell:
        "{params.program} --recipe {params.recipe:q} --gaps {input.gaps}"
        " --transfer {output.transfer} --choices {output.choices} {params.similarities}"
        " > {log} 2>&1"


rule chart_transfer:
    input:
        transfer=paths.table("transfer"),
    output:
        html=report(
            paths.chart("transfer", "html"),
            caption="../report/transfer.rst",
            category="Charts",
            labels={"shows": "what starts on other data sets gain"},
        ),
        svg=paths.chart("transfer", "svg"),
        png=paths.chart("transfer", "png"),
        spec=paths.chart("transfer", "vl.json"),
    log:
        "<logs>/chart_transfer.log",
    localrule: True
    conda:
        "../envs/summary.yaml"
    params:
        recipe=spell(summary_recipe()),
        program=program("chart_transfer.py"),
        provenance=provenance("chart_transfer.py"),
    message:
        "Drawing the chart of what starts on other data sets gain"
    shell:
        "{params.program} --recipe {params.recipe:q} --transfer {input.transfer}"
        " --html {output.html} --svg {output.svg} --png {output.png} --spec {output.spec}"
        " > {log} 2>&1"
