rule prepare_texts:
    input:
        source=source_manifest("text", "{texts}"),
    output:
        texts=paths.UNLABELLED,
        manifest=paths.UNLABELLED_MANIFEST,
        rejects=paths.UNLABELLED_REJECTS,
        card=paths.UNLABELLED_CARD,
    log:
        "<logs>/prepare_texts/{texts}.log",
    priority: FIRST
    conda:
        "../envs/data.yaml"
    threads: 2
    resources:
        mem_mb=mem_mb(prepare_asks),
        runtime=runtime(prepare_asks),
    params:
        recipe=lambda wildcards: spell(texts_recipe(wildcards)),
        program=program("prepare_texts.py"),
        provenance=provenance("prepare_texts.py"),
    message:
        "Preparing the texts of {wildcards.texts}"
    shell:
        "{params.program} --recipe {params.recipe:q} --provenance {params.provenance:q}"
        " --source {input.source} --texts {output.texts} --manifest {output.manifest}"
        " --rejects {output.rejects} --card {output.card} --threads {threads} > {log} 2>&1"


# What the checkpoints are pretrained on that the workflow makes: texts without labels.
rule collect_corpus:
    input:
        unpack(corpus_inputs),
    output:
        texts=paths.CORPUS,
        manifest=paths.CORPUS_MANIFEST,
    log:
        "<logs>/collect_corpus/{checkpoint}.log",
    priority: FIRST
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=mem_mb(collect_corpus_asks),
        runtime=runtime(collect_corpus_asks),
    params:
        held_out=lambda wildcards: STUDY.pretrained[wildcards.checkpoint].held_out,
        files=corpus_options,
        program=program("collect_corpus.py"),
        provenance=provenance("collect_corpus.py"),
    message:
        "Collecting the texts that {wildcards.checkpoint} is pretrained on"
    shell:
        "{params.program} --held-out {params.held_out} {params.files}"
        " --texts {output.texts} --manifest {output.manifest} > {log} 2>&1"


# It writes what `download` writes for a checkpoint that is fetched.
rule pretrain:
    input:
        unpack(start_inputs),
        corpus=paths.CORPUS_MANIFEST,
        texts=ancient(paths.CORPUS),
    output:
        manifest=source_manifest("checkpoint", "{checkpoint}"),
        origin=paths.SOURCE_ORIGIN.format(source="checkpoint-{checkpoint}"),
        files=directory(paths.SOURCE_FILES.format(source="checkpoint-{checkpoint}")),
        ids=directory(paths.CORPUS_IDS),
    log:
        "<logs>/pretrain/{checkpoint}.log",
    wildcard_constraints:
        checkpoint=any_of(STUDY.pretrained),
    priority: FIRST
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=mem_mb(pretrain_asks),
        runtime=runtime(pretrain_asks),
        gpu=gpu(pretrain_asks),
        processes=processes(pretrain_asks),
        gpu_model=lambda wildcards: SITE.gpu_type if pretrained_on_gpu(wildcards) else None,
        slurm_partition=lambda wildcards: SITE.partition(pretrained_on_gpu(wildcards)),
    params:
        start=lambda wildcards, input: options(
            {"start": input["start"]} if "start" in input.keys() else {}
        ),
        recipe=lambda wildcards: spell(deciding(STUDY.pretrained[wildcards.checkpoint])),
        program=program("pretrain.py"),
        provenance=provenance("pretrain.py"),
    message:
        "Pretraining {wildcards.checkpoint}"
    shell:
        "{params.program} --recipe {params.recipe:q} --provenance {params.provenance:q}"
        " --corpus {input.corpus} --texts {input.texts} {params.start}"
        " --processes {resources.processes} --threads {threads}"
        " --files {output.files} --ids {output.ids} --manifest {output.manifest} --origin {output.origin}"
        " > {log} 2>&1"
