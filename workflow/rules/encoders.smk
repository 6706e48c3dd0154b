# The workflow's own encoders: those whose weights are `train`.
#
# INPUTS    manifests/encoders.csv, its clouds and their renders; params: encoders
# OUTPUTS   encoders/pointnet/           model.safetensors, history.csv
#           encoders/<clip>/             an open_clip model directory, history.csv
# STEPS     train_points, train_clip (one job per CLIP)


rule train_points:
    input:
        manifest=rules.draw_manifests.output.encoders,
        clouds=expand(rules.build_clouds.output, class_name=CLASSES),
        code=code("encoders/pointnet.py", "clouds/dataset.py", "storage.py"),
    output:
        directory(f"{RESULTS}/encoders/{PARAMS['encoders']['points']['name']}"),
    params:
        encoder=PARAMS["encoders"]["points"],
        seed=PARAMS["seeds"]["encoders"],
    log:
        f"{LOGS}/train_points.log",
    conda:
        "../../envs/learn.yaml"
    threads: workflow.cores
    script:
        "../scripts/train_points.py"


rule train_clip:
    input:
        manifest=rules.draw_manifests.output.encoders,
        renders=expand(rules.render_class.output, class_name=CLASSES),
        code=code("encoders/tiny_clip.py", "encoders/clip.py", "storage.py"),
    output:
        directory(f"{RESULTS}/encoders/{{clip}}"),
    params:
        clip=clip_settings,
        resolution=PARAMS["render"]["resolution"],
        zero_shot={key: PARAMS["zero_shot"][key] for key in ("prompt", "class_names")},
        seed=PARAMS["seeds"]["encoders"],
    log:
        f"{LOGS}/train_clip/{{clip}}.log",
    conda:
        "../../envs/learn.yaml"
    threads: workflow.cores
    script:
        "../scripts/train_clip.py"


rule encoders:
    input:
        rules.train_points.output if PARAMS["encoders"]["points"]["weights"] == "train" else [],
        expand(rules.train_clip.output, clip=TRAINED_CLIPS),
