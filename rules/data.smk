rule download:
    input:
        local_files,
    output:
        manifest=paths.SOURCE_MANIFEST,
        origin=paths.SOURCE_ORIGIN,
        files=directory(paths.SOURCE_FILES),
    log:
        "<logs>/download/{source}.log",
    wildcard_constraints:
        # Those are made by `pretrain`.
        source=rf"(?!checkpoint-{any_of(OWN_CHECKPOINTS)}/)[\w.-]+",
    priority: FIRST
    localrule: True
    conda:
        "../envs/data.yaml"
    params:
        role=lambda wildcards: wildcards.source.partition("-")[0],
        recipe=lambda wildcards: spell(deciding(source_spec(wildcards))),
        content=local_content,
        program=program("download.py"),
        provenance=provenance("download.py"),
    message:
        "Fetching {wildcards.source}"
    shell:
        "{params.program} --role {params.role} --recipe {params.recipe:q}"
        " --files {output.files} --manifest {output.manifest} --origin {output.origin}"
        " > {log} 2>&1"


rule prepare:
    input:
        unpack(prepare_inputs),
    output:
        pool=paths.POOL,
        pool_manifest=paths.POOL_MANIFEST,
        test=paths.TEST,
        test_manifest=paths.TEST_MANIFEST,
        rejects=paths.REJECTS,
        card=paths.CARD,
    log:
        "<logs>/prepare/{dataset}.log",
    priority: FIRST
    conda:
        "../envs/data.yaml"
    threads: 2
    resources:
        mem_mb=mem_mb(prepare_asks),
        runtime=runtime(prepare_asks),
    params:
        recipe=lambda wildcards: spell(prepare_recipe(wildcards)),
        others=lambda wildcards, input: options(
            {name.replace("_", "-"): input[name] for name in input.keys() if name != "source"}
        ),
        program=program("prepare.py"),
        provenance=provenance("prepare.py"),
    message:
        "Preparing the pool and the test set of {wildcards.dataset}"
    shell:
        "{params.program} --recipe {params.recipe:q} --provenance {params.provenance:q}"
        " --source {input.source} {params.others}"
        " --pool {output.pool} --pool-manifest {output.pool_manifest}"
        " --test {output.test} --test-manifest {output.test_manifest}"
        " --rejects {output.rejects} --card {output.card} --threads {threads} > {log} 2>&1"


rule subsample:
    input:
        manifest=paths.POOL_MANIFEST,
        pool=ancient(paths.POOL),
    output:
        subsample=paths.SUBSAMPLE,
        manifest=paths.SUBSAMPLE_MANIFEST,
    log:
        "<logs>/subsample/{dataset}/{size}/{seeds}.log",
    priority: FIRST
    group:
        group_of_steps
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=mem_mb(subsample_asks),
        runtime=runtime(subsample_asks, share=0.1),
    params:
        recipe=lambda wildcards: spell(subsample_recipe(wildcards)),
        program=program("subsample.py"),
        provenance=provenance("subsample.py"),
    message:
        "Drawing {wildcards.size} of {wildcards.dataset}, seeds {wildcards.seeds}"
    shell:
        "{params.program} --recipe {params.recipe:q} --seeds {wildcards.seeds}"
        " --pool {input.pool} --subsample {output.subsample} --manifest {output.manifest}"
        " > {log} 2>&1"
