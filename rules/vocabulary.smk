rule fit_vocabulary:
    input:
        manifest="<results>/datasets/{dataset}/pool.json",
        subsample_manifest="<results>/datasets/{dataset}/subsamples/{size}/{seeds}.json",
        subsample=ancient("<results>/datasets/{dataset}/subsamples/{size}/{seeds}.parquet"),
        pool=ancient("<results>/datasets/{dataset}/pool.parquet"),
    output:
        manifest="<results>/datasets/{dataset}/vocabularies/{vocabulary}/{size}/{seeds}.json",
        vocabulary=directory(
            "<results>/datasets/{dataset}/vocabularies/{vocabulary}/{size}/{seeds}"
        ),
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
        manifest="<results>/datasets/{dataset}/pool.json",
        test_manifest="<results>/datasets/{dataset}/test.json",
        checkpoint="<results>/sources/checkpoint-{checkpoint}/manifest.json",
        pool=ancient("<results>/datasets/{dataset}/pool.parquet"),
        test=ancient("<results>/datasets/{dataset}/test.parquet"),
    output:
        pool="<results>/datasets/{dataset}/ids/{checkpoint}/pool.json",
        test="<results>/datasets/{dataset}/ids/{checkpoint}/test.json",
        ids=directory("<results>/datasets/{dataset}/ids/{checkpoint}/texts"),
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
        manifest="<results>/datasets/{dataset}/pool.json",
        test_manifest="<results>/datasets/{dataset}/test.json",
        subsample_manifest="<results>/datasets/{dataset}/subsamples/{size}/{seeds}.json",
        vocabulary_manifest="<results>/datasets/{dataset}/vocabularies/{vocabulary}/{size}/{seeds}.json",
        vocabulary=ancient("<results>/datasets/{dataset}/vocabularies/{vocabulary}/{size}/{seeds}"),
        subsample=ancient("<results>/datasets/{dataset}/subsamples/{size}/{seeds}.parquet"),
        pool=ancient("<results>/datasets/{dataset}/pool.parquet"),
        test=ancient("<results>/datasets/{dataset}/test.parquet"),
    output:
        pool="<results>/datasets/{dataset}/ids/{vocabulary}/{size}/{seeds}/pool.json",
        test="<results>/datasets/{dataset}/ids/{vocabulary}/{size}/{seeds}/test.json",
        ids=directory("<results>/datasets/{dataset}/ids/{vocabulary}/{size}/{seeds}/texts"),
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
