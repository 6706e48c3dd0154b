# The point encoder, and the embeddings of every cloud that is aligned or evaluated.
#
# INPUTS    manifests/, clouds/<class>.h5; or ModelNet40 to train on; params: encoders.points
# OUTPUTS   encoders/points/<name>/          model.safetensors, history.csv, metrics.json, unless it has a checkpoint
#           embeddings/points/<name>.h5      the point encoder's global feature
# STEPS     train_points -> embed_points


rule train_points:
    input:
        manifest=MANIFESTS["encoders"],
        test=MANIFESTS["test"],
        clouds=CLOUDS,
        train_split=train_split(),
    output:
        weights=f"{POINT_ENCODER}/model.safetensors",
        history=f"{POINT_ENCODER}/history.csv",
        metrics=f"{POINT_ENCODER}/metrics.json",
    log:
        f"{LOGS}/train_points.log",
    benchmark:
        f"{BENCHMARKS}/train_points.tsv"
    priority: 1
    conda:
        "../../envs/learn.yaml"
    threads: 8 if train_split() else 1  # the bytes of a training depend on its threads
    resources:
        mem_mb=8000,
        runtime=1440 if train_split() else 120,
        gpu=1 if train_split() else 0,
    params:
        classes=CLASSES,
        points=PARAMS.clouds.points,
        name=PARAMS.encoders.points.name,
        settings=(
            PARAMS.encoders.points.training()
            if PARAMS.encoders.points.checkpoint == "train"
            else None
        ),
        # Not an output: Snakemake deletes the outputs of a failed job
        checkpoint=f"{RESULTS}/checkpoints/train_points.safetensors",
        seed=PARAMS.seeds.encoders,
        code=code("train_points", POINT_ARCHITECTURE),
    message:
        "train {params.name}"
    script:
        "../scripts/train_points.py"


rule embed_points:
    input:
        manifests=EVALUATED,
        clouds=CLOUDS,
        model=point_checkpoint(),
    output:
        POINT_EMBEDDINGS,
    log:
        f"{LOGS}/embed_points.log",
    benchmark:
        f"{BENCHMARKS}/embed_points.tsv"
    conda:
        "../../envs/learn.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=240,
    params:
        name=PARAMS.encoders.points.name,
        preset=PARAMS.preset,
        code=code("embed_points", POINT_ARCHITECTURE),
    message:
        "embed the clouds with {params.name}"
    script:
        "../scripts/embed_points.py"


rule points:
    input:
        rules.embed_points.output,
