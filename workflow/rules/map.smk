# Mappers from cloud to image embeddings: what Table III compares.
#
# INPUTS    manifests/alignment.csv, embeddings/points/, embeddings/images/<clip>/; params: mapper, alignment
# OUTPUTS   mappers/<norm>/            every seed's last and best weights, runs.json with their losses
#           curves/<norm>/             train and test loss of every epoch (dvclive)
# STEPS     train_mapper (one job per variant, all seeds)


rule train_mapper:
    input:
        manifest=rules.draw_manifests.output.alignment,
        points=rules.embed_points.output,
        images=expand(
            f"{RESULTS}/embeddings/images/{PARAMS['alignment']['image_embedding']['model']}/{{class_name}}.h5",
            class_name=CLASSES,
        ),
        code=code("train_mapper"),
    output:
        last=[
            f"{RESULTS}/mappers/{{norm}}/seed_{seed}_last.safetensors"
            for seed in PARAMS["mapper"]["seeds"]
        ],
        best=[
            f"{RESULTS}/mappers/{{norm}}/seed_{seed}_best.safetensors"
            for seed in PARAMS["mapper"]["seeds"]
        ],
        runs=f"{RESULTS}/mappers/{{norm}}/runs.json",
        curves=directory(f"{RESULTS}/curves/{{norm}}"),
    log:
        f"{LOGS}/train_mapper/{{norm}}.log",
    conda:
        "../../envs/learn.yaml"
    threads: 1  # the bytes of a training depend on its threads
    params:
        layer=PARAMS["alignment"]["image_embedding"]["layer"],
        mapper={key: value for key, value in PARAMS["mapper"].items() if key != "norm"},
    script:
        "../scripts/train_mapper.py"


rule map:
    input:
        expand(rules.train_mapper.output, norm=NORMS),
