# From a checkpoint's embeddings to vocabularies that are not its own: once for all of them.
rule fit_bridge:
    input:
        unpack(lesson_inputs),
        checkpoint=source_manifest("checkpoint", "{checkpoint}"),
    output:
        manifest=paths.BRIDGE_MANIFEST,
        bridge=paths.BRIDGE,
    log:
        "<logs>/fit_bridge/{checkpoint}.log",
    wildcard_constraints:
        checkpoint=any_of(BRIDGED),
    priority: FIRST
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=mem_mb(bridge_asks),
        runtime=runtime(bridge_asks),
        slurm_partition=SITE.partition(False),
    params:
        lesson=lesson_options,
        program=program("fit_bridge.py"),
        provenance=provenance("fit_bridge.py"),
    message:
        "Bridging the embeddings of {wildcards.checkpoint} to other vocabularies"
    shell:
        "{params.program} --name {wildcards.checkpoint} --checkpoint {input.checkpoint} {params.lesson}"
        " --bridge {output.bridge} --manifest {output.manifest} > {log} 2>&1"
