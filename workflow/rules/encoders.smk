# Encoders that the workflow trains: those whose weights or checkpoint are `train`.
#
# INPUTS    manifests/encoders.csv, its clouds and their renders; or ModelNet40; params: encoders
# OUTPUTS   encoders/<point encoder>/    model.safetensors, history.csv, metrics.json
#           encoders/<clip>/             an open_clip model directory, history.csv
# STEPS     train_points, train_clip (one job per CLIP)


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


rule train_clip:
    input:
        manifest=MANIFESTS["encoders"],
        renders=RENDERS,
    output:
        directory(f"{RESULTS}/encoders/{{clip}}"),
    log:
        f"{LOGS}/train_clip/{{clip}}.log",
    benchmark:
        f"{BENCHMARKS}/train_clip/{{clip}}.tsv"
    conda:
        "../../envs/learn.yaml"
    threads: 1  # the bytes of a training depend on its threads
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        classes=CLASSES,
        clip=lambda wildcards: CLIPS[wildcards.clip].training(),
        zero_shot=dump(PARAMS.zero_shot, "prompt", "class_names"),
        # Not an output: Snakemake deletes the outputs of a failed job
        checkpoint=f"{RESULTS}/checkpoints/{{clip}}.safetensors",
        seed=PARAMS.seeds.encoders,
        code=code("train_clip"),
    message:
        "train {wildcards.clip}"
    script:
        "../scripts/train_clip.py"


rule encoders:
    input:
        rules.train_points.output if PARAMS.encoders.points.checkpoint == "train" else [],
        expand(
            rules.train_clip.output,
            clip=[name for name, clip in CLIPS.items() if clip.weights == "train"],
        ),
