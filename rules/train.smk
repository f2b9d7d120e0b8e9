rule train:
    input:
        unpack(lambda wildcards: text_inputs(wildcards, "pool")),
        unpack(checkpoint_inputs),
        unpack(review_inputs),
        unpack(bridge_inputs),
        manifest=paths.POOL_MANIFEST,
        subsample_manifest=paths.SUBSAMPLE_MANIFEST,
        subsample=ancient(paths.SUBSAMPLE),
    output:
        training=paths.TRAINING,
        weights=directory(paths.WEIGHTS),
    log:
        "<logs>/train/{dataset}/{model}/{size}/{seeds}.log",
    priority: expected_work
    group:
        group_of_run
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=mem_mb(train_asks),
        runtime=runtime(train_asks, share=0.8),
        gpu=gpu(train_asks),
        processes=processes(train_asks),
        gpu_model=gpu_model,
        slurm_partition=partition_of_run,
    params:
        state=subpath(output.training, parent=True),
        options=model_options,
        cell=identity_of,
        recipe=lambda wildcards: spell(recipe_of(wildcards)),
        program=program("train.py"),
        provenance=lambda wildcards: provenance("train.py", [wildcards.model]),
    message:
        "Training {wildcards.model} on {wildcards.size} of {wildcards.dataset}, seeds {wildcards.seeds}"
    shell:
        "{params.program} --recipe {params.recipe:q} --provenance {params.provenance:q}"
        " --cell {params.cell:q} {params.options} --processes {resources.processes}"
        " --manifest {input.manifest} --subsample {input.subsample}"
        " --state {params.state} --weights {output.weights} --training {output.training}"
        " > {log} 2>&1"
