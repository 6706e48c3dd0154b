# Mappers from cloud to image embeddings: what Table III compares.
#
# INPUTS    manifests/alignment.csv, embeddings/points/, embeddings/images/<clip>/; params: mapper, alignment
# OUTPUTS   mappers/<split>/<norm>/    every seed's last and best weights, runs.json with their losses
#           curves/<split>/<norm>/     train and test loss of every epoch (dvclive)
# STEPS     train_mapper (one job per split and variant, all seeds)
#
# A job that was killed goes on from checkpoints/<split>/<norm>/. Snakemake deletes what a failed job declared
# as output and DVC what a stage did, so checkpoints are declared nowhere; the job deletes them when it is done.


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
            f"{RESULTS}/mappers/{{split}}/{{norm}}/seed_{seed}_last.safetensors"
            for seed in PARAMS["mapper"]["seeds"]
        ],
        best=[
            f"{RESULTS}/mappers/{{split}}/{{norm}}/seed_{seed}_best.safetensors"
            for seed in PARAMS["mapper"]["seeds"]
        ],
        runs=f"{RESULTS}/mappers/{{split}}/{{norm}}/runs.json",
        curves=directory(f"{RESULTS}/curves/{{split}}/{{norm}}"),
    log:
        f"{LOGS}/train_mapper/{{split}}_{{norm}}.log",
    conda:
        "../../envs/learn.yaml"
    threads: 1  # the bytes of a training depend on its threads
    params:
        layer=PARAMS["alignment"]["image_embedding"]["layer"],
        column=split_column,
        checkpoints=f"{RESULTS}/checkpoints/{{split}}/{{norm}}",
        mapper={key: value for key, value in PARAMS["mapper"].items() if key != "norm"},
    script:
        "../scripts/train_mapper.py"


rule map:
    input:
        expand(rules.train_mapper.output, split=SPLITS, norm=NORMS),
