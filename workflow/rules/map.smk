# Mappers from cloud to image embeddings, which Table III compares.
#
# INPUTS    manifests/alignment.csv, embeddings/points/, embeddings/images/<clip>/; params: mapper, alignment
# OUTPUTS   mappers/<split>/<norm>/    last and best weights of every seed, runs.json with their losses
#           curves/<split>/<norm>/     train and test loss of every epoch (dvclive)
# STEPS     train_mapper (one job per split and norm, all seeds)
#
# A job that was killed continues from checkpoints/<split>/<norm>/. Checkpoints are not outputs, because Snakemake
# deletes the outputs of a failed job, and DVC those of a stage. A job deletes its checkpoints when it is done.


rule train_mapper:
    input:
        manifest=MANIFESTS["alignment"],
        points=POINT_EMBEDDINGS,
        images=expand(IMAGE_EMBEDDINGS, clip=PARAMS.alignment.image_embedding.model),
    output:
        last=[
            f"{RESULTS}/mappers/{{split}}/{{norm}}/seed_{seed}_last.safetensors"
            for seed in PARAMS.mapper.seeds
        ],
        best=[
            f"{RESULTS}/mappers/{{split}}/{{norm}}/seed_{seed}_best.safetensors"
            for seed in PARAMS.mapper.seeds
        ],
        runs=f"{RESULTS}/mappers/{{split}}/{{norm}}/runs.json",
        curves=directory(f"{RESULTS}/curves/{{split}}/{{norm}}"),
    log:
        f"{LOGS}/train_mapper/{{split}}_{{norm}}.log",
    benchmark:
        f"{BENCHMARKS}/train_mapper/{{split}}_{{norm}}.tsv"
    conda:
        "../../envs/learn.yaml"
    threads: 1  # the bytes of a training depend on its threads
    resources:
        mem_mb=16000 if PARAMS.alignment.clouds == "all" else 8000 if GPUS else 2000,
        runtime=1440 if GPUS else 120,
        gpu=GPUS,
    params:
        layer=PARAMS.alignment.image_embedding.layer,
        column=lambda wildcards: SPLITS[wildcards.split],
        checkpoints=f"{RESULTS}/checkpoints/{{split}}/{{norm}}",
        mapper=PARAMS.mapper.model_dump(exclude={"norm"}),
        code=code("train_mapper"),
    message:
        "train the mappers with norm '{wildcards.norm}', split by {wildcards.split}"
    script:
        "../scripts/train_mapper.py"


rule map:
    input:
        expand(rules.train_mapper.output, split=SPLITS, norm=NORMS),
