# Mappers from cloud to image embeddings (Table III), and the one that is selected.
#
# INPUTS    manifests/alignment.csv, embeddings/points/, embeddings/images/<clip>/; params: mapper, alignment
# OUTPUTS   mappers/<norm>/                        last and best weights of every seed, summary.csv
#           curves/<norm>/seed_<seed>/             train and test loss of every epoch (dvclive)
#           metrics.json                           the selected mapper's, for `dvc metrics` and `dvc exp show`
# STEPS     train_mapper (one job per variant, all seeds) -> select_mapper


rule train_mapper:
    input:
        manifest=rules.draw_manifests.output.alignment,
        points=rules.embed_points.output,
        images=expand(
            f"{RESULTS}/embeddings/images/{PARAMS['alignment']['image_embedding']['model']}/{{class_name}}.h5",
            class_name=CLASSES,
        ),
        code=code("mapper", "evaluate/alignment.py", "embeddings.py", "storage.py"),
    output:
        mappers=directory(f"{RESULTS}/mappers/{{norm}}"),
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
