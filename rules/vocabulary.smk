rule fit_vocabulary:
    input:
        manifest=paths.POOL_MANIFEST,
        subsample_manifest=paths.SUBSAMPLE_MANIFEST,
        subsample=ancient(paths.SUBSAMPLE),
        pool=ancient(paths.POOL),
    output:
        manifest=paths.VOCABULARY_MANIFEST,
        vocabulary=directory(paths.VOCABULARY),
    log:
        "<logs>/fit_vocabulary/{dataset}/{vocabulary}/{size}/{seeds}.log",
    priority: FIRST
    group:
        group_of_steps
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=mem_mb(fit_vocabulary_asks),
        runtime=runtime(fit_vocabulary_asks, share=0.4),
    params:
        recipe=lambda wildcards: spell(STUDY.vocabulary_zoo[wildcards.vocabulary]),
        program=program("fit_vocabulary.py"),
        provenance=provenance("fit_vocabulary.py"),
    message:
        "Fitting {wildcards.vocabulary} on {wildcards.size} of {wildcards.dataset}, seeds {wildcards.seeds}"
    shell:
        "{params.program} --recipe {params.recipe:q}"
        " --provenance {params.provenance:q}"
        " --pool {input.pool} --pool-manifest {input.manifest} --subsample {input.subsample}"
        " --vocabulary {output.vocabulary} --manifest {output.manifest} > {log} 2>&1"


# Every text of the data set, once for each pretrained tokenizer.
rule encode:
    input:
        manifest=paths.POOL_MANIFEST,
        test_manifest=paths.TEST_MANIFEST,
        checkpoint=source_manifest("checkpoint", "{checkpoint}"),
        pool=ancient(paths.POOL),
        test=ancient(paths.TEST),
    output:
        pool=paths.CHECKPOINT_IDS.pool,
        test=paths.CHECKPOINT_IDS.test,
        ids=directory(paths.CHECKPOINT_IDS.texts),
    log:
        "<logs>/encode/{dataset}/{checkpoint}.log",
    priority: FIRST
    conda:
        "../envs/data.yaml"
    threads: 2
    resources:
        mem_mb=mem_mb(encode_asks),
        runtime=runtime(encode_asks),
    params:
        recipe=lambda wildcards: spell(encode_recipe(wildcards)),
        program=program("encode.py"),
        provenance=provenance("encode.py"),
    message:
        "Encoding {wildcards.dataset} with the tokenizer of {wildcards.checkpoint}"
    shell:
        "{params.program} --recipe {params.recipe:q}"
        " --provenance {params.provenance:q}"
        " --checkpoint {input.checkpoint}"
        " --pool {input.pool} --pool-manifest {input.manifest}"
        " --test {input.test} --test-manifest {input.test_manifest}"
        " --ids {output.ids} --encoded-pool {output.pool} --encoded-test {output.test}"
        " --threads {threads} > {log} 2>&1"


# The texts of a block of subsamples, and the test set, with the vocabularies fitted on them.
rule encode_subsample:
    input:
        manifest=paths.POOL_MANIFEST,
        test_manifest=paths.TEST_MANIFEST,
        subsample_manifest=paths.SUBSAMPLE_MANIFEST,
        vocabulary_manifest=paths.VOCABULARY_MANIFEST,
        vocabulary=ancient(paths.VOCABULARY),
        subsample=ancient(paths.SUBSAMPLE),
        pool=ancient(paths.POOL),
        test=ancient(paths.TEST),
    output:
        pool=paths.VOCABULARY_IDS.pool,
        test=paths.VOCABULARY_IDS.test,
        ids=directory(paths.VOCABULARY_IDS.texts),
    log:
        "<logs>/encode_subsample/{dataset}/{vocabulary}/{size}/{seeds}.log",
    priority: FIRST
    group:
        group_of_steps
    conda:
        "../envs/data.yaml"
    threads: lambda wildcards: 1 if rows_at_most(wildcards) <= SHORT else 2
    resources:
        mem_mb=mem_mb(encode_subsample_asks),
        runtime=runtime(encode_subsample_asks, share=0.5),
    params:
        recipe=lambda wildcards: spell(encode_recipe(wildcards)),
        program=program("encode.py"),
        provenance=provenance("encode.py"),
    message:
        "Encoding {wildcards.size} of {wildcards.dataset} with {wildcards.vocabulary}, seeds {wildcards.seeds}"
    shell:
        "{params.program} --recipe {params.recipe:q}"
        " --provenance {params.provenance:q} --vocabulary {input.vocabulary}"
        " --subsample {input.subsample}"
        " --pool {input.pool} --pool-manifest {input.manifest}"
        " --test {input.test} --test-manifest {input.test_manifest}"
        " --ids {output.ids} --encoded-pool {output.pool} --encoded-test {output.test}"
        " --threads {threads} > {log} 2>&1"
