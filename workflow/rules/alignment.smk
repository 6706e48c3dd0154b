# Table III: predictions of mappers and baselines on test clouds.
#
# INPUTS    manifests/{alignment,test}.csv, embeddings/, mappers/<split>/, the point encoder
# OUTPUTS   evaluations/<split>/{records,levels}.csv   every measure: by predictor, and by corruption level
#           tables/table3.{csv,json}, tables/{alignment,gains,predictors,splits,alignment_corruptions}.csv
#           plots/{alignment,retrieval,alignment_corruptions,loss_curves}.svg
# STEPS     evaluate_mappers (one job per split) -> tabulate_alignment

IMAGE_MODEL = PARAMS.alignment.image_embedding.model


rule evaluate_mappers:
    input:
        alignment=MANIFESTS["alignment"],
        test=MANIFESTS["test"],
        points=POINT_EMBEDDINGS,
        images=IMAGE_EMBEDDINGS.format(clip=IMAGE_MODEL),
        prompts=PROMPTS.format(clip=IMAGE_MODEL),
        projection=PROJECTION.format(clip=IMAGE_MODEL),
        point_encoder=point_checkpoint(),
        mappers=[
            f"{RESULTS}/mappers/{{split}}/{norm}/seed_{seed}_{epoch}.safetensors"
            for norm in NORMS
            for epoch in ("last", "best")
            for seed in PARAMS.mapper.seeds
        ],
        runs=[f"{RESULTS}/mappers/{{split}}/{norm}/runs.json" for norm in NORMS],
        fits=f"{RESULTS}/mappers/{{split}}/fits",
    output:
        records=f"{RESULTS}/evaluations/{{split}}/records.csv",
        levels=f"{RESULTS}/evaluations/{{split}}/levels.csv",
    log:
        f"{LOGS}/evaluate_mappers/{{split}}.log",
    benchmark:
        f"{BENCHMARKS}/evaluate_mappers/{{split}}.tsv"
    priority: 1  # the longest way to the last page starts here
    conda:
        "../../envs/learn.yaml"
    threads: 1  # rounding depends on the number of threads
    resources:
        mem_mb=16000 if PARAMS.alignment.clouds == "all" else 8000 if GPUS else 2000,
        runtime=1440 if PARAMS.alignment.clouds == "all" else 240,
    params:
        column=lambda wildcards: SPLITS[wildcards.split],
        unit=lambda wildcards: UNITS[wildcards.split],
        layer=PARAMS.alignment.image_embedding.layer,
        style=PARAMS.zero_shot.class_names,
        top=PARAMS.zero_shot.top,
        point_encoder=PARAMS.encoders.points.name,
        point_model=lambda wildcards, input: input.point_encoder,
        direct=SPACE is not None,
        trained_here=PARAMS.encoders.points.checkpoint == "train",
        code=code("evaluate_mappers", POINT_ARCHITECTURE),
    message:
        "evaluate the mappers and the baselines, split by {wildcards.split}"
    script:
        "../scripts/evaluate_mappers.py"


rule tabulate_alignment:
    input:
        records=expand(rules.evaluate_mappers.output.records, split=SPLITS),
        levels=expand(rules.evaluate_mappers.output.levels, split=SPLITS),
        curves=expand(CURVES, split="objects", norm=NORMS, seed=PARAMS.mapper.seeds),
    output:
        tables=expand(
            f"{RESULTS}/tables/{{table}}.csv",
            table=[
                "table3",
                "alignment",
                "gains",
                "predictors",
                "splits",
                "alignment_corruptions",
            ],
        ),
        provenance=f"{RESULTS}/tables/table3.json",
        plots=expand(
            f"{RESULTS}/plots/{{plot}}.svg",
            plot=["alignment", "retrieval", "alignment_corruptions", "loss_curves"],
        ),
    log:
        f"{LOGS}/tabulate_alignment.log",
    conda:
        "../../envs/report.yaml"
    params:
        provenance={
            **PROVENANCE,
            "seeds": dump(PARAMS.seeds, "alignment", "split", "test", "render"),
            "image_model": IMAGE_MODEL,
            "layer": PARAMS.alignment.image_embedding.layer,
            "image_weights": CLIPS[IMAGE_MODEL].weights,
            "point_encoder": PARAMS.encoders.points.name,
            "point_weights": PARAMS.encoders.points.checkpoint,
            "mapper_init": PARAMS.mapper.init,
        },
        code=code("tabulate_alignment"),
    message:
        "write Table III"
    script:
        "../scripts/tabulate_alignment.py"
