# The workflow's own encoders: those whose weights or checkpoint are `train`.
#
# INPUTS    manifests/encoders.csv, its clouds and their renders; or ModelNet40; params: encoders
# OUTPUTS   encoders/<point encoder>/    model.safetensors, history.csv, metrics.json
#           encoders/<clip>/             an open_clip model directory, history.csv
# STEPS     train_points, train_clip (one job per CLIP)


rule train_points:
    input:
        manifest=rules.draw_manifests.output.encoders,
        test=rules.draw_manifests.output.test,
        clouds=expand(rules.build_clouds.output, class_name=CLASSES),
        train_split=train_split(),
        code=code("train_points"),
    output:
        weights=f"{POINT_ENCODER}/model.safetensors",
        history=f"{POINT_ENCODER}/history.csv",
        metrics=f"{POINT_ENCODER}/metrics.json",
    log:
        f"{LOGS}/train_points.log",
    conda:
        "../../envs/learn.yaml"
    threads: 8 if train_split() else 1  # the bytes of a training depend on its threads
    params:
        classes=CLASSES,
        points=PARAMS["clouds"]["points"],
        name=PARAMS["encoders"]["points"]["name"],
        settings=training_settings(PARAMS["encoders"]["points"]),
        progress=f"{RESULTS}/checkpoints/train_points.pt",  # declared nowhere: Snakemake would delete it
        seed=PARAMS["seeds"]["encoders"],
    script:
        "../scripts/train_points.py"


rule train_clip:
    input:
        manifest=rules.draw_manifests.output.encoders,
        renders=expand(rules.render_class.output, class_name=CLASSES),
        code=code("train_clip"),
    output:
        directory(f"{RESULTS}/encoders/{{clip}}"),
    log:
        f"{LOGS}/train_clip/{{clip}}.log",
    conda:
        "../../envs/learn.yaml"
    threads: 1  # the bytes of a training depend on its threads
    params:
        classes=CLASSES,
        clip=clip_training_settings,
        zero_shot={key: PARAMS["zero_shot"][key] for key in ("prompt", "class_names")},
        seed=PARAMS["seeds"]["encoders"],
    script:
        "../scripts/train_clip.py"


rule encoders:
    input:
        rules.train_points.output if PARAMS["encoders"]["points"]["checkpoint"] == "train" else [],
        expand(rules.train_clip.output, clip=TRAINED_CLIPS),
