# Table III: what the mappers' predictions are worth, beside baselines that are fitted here.
#
# INPUTS    manifests/{alignment,test}.csv, embeddings/, mappers/<split>/<norm>/, the point encoder; params: baselines
# OUTPUTS   evaluations/<split>/{records,cells}.csv    every measure: of each predictor, and by corruption
#           tables/table3.csv, tables/table3_extended.csv
#           plots/{alignment,retrieval,alignment_corruptions,loss_curves}.{png,svg}
# STEPS     evaluate_mappers (one job per split) -> tabulate_alignment

IMAGE_MODEL = PARAMS["alignment"]["image_embedding"]["model"]


rule evaluate_mappers:
    input:
        alignment=rules.draw_manifests.output.alignment,
        test=rules.draw_manifests.output.test,
        points=rules.embed_points.output,
        images=rules.train_mapper.input.images,
        prompts=f"{RESULTS}/embeddings/prompts/{IMAGE_MODEL}.h5",
        projection=f"{RESULTS}/embeddings/projections/{IMAGE_MODEL}.h5",
        point_encoder=point_checkpoint(),
        mappers=expand(
            [*rules.train_mapper.output.last, *rules.train_mapper.output.best],
            norm=NORMS,
            allow_missing=True,
        ),
        runs=expand(rules.train_mapper.output.runs, norm=NORMS, allow_missing=True),
        code=code("evaluate_mappers"),
    output:
        records=f"{RESULTS}/evaluations/{{split}}/records.csv",
        cells=f"{RESULTS}/evaluations/{{split}}/cells.csv",
    log:
        f"{LOGS}/evaluate_mappers/{{split}}.log",
    conda:
        "../../envs/learn.yaml"
    threads: 1  # the bytes of a fit depend on its threads
    params:
        column=split_column,
        # What independent clouds do not share: their object, or, where classes are held out, their class
        unit=lambda wildcards: {"objects": ["class", "object"], "classes": ["class"]}[
            wildcards.split
        ],
        layer=PARAMS["alignment"]["image_embedding"]["layer"],
        style=PARAMS["zero_shot"]["class_names"],
        top=PARAMS["zero_shot"]["top"],
        baselines={
            "lambdas": PARAMS["baselines"]["ridge_lambdas"],
            "folds": PARAMS["baselines"]["folds"],
            "seed": PARAMS["seeds"]["split"],
        },
        mapper=rules.train_mapper.params.mapper,
        point_encoder=PARAMS["encoders"]["points"]["name"],
        point_model=lambda wildcards, input: input.point_encoder,
        trained_here=PARAMS["encoders"]["points"]["checkpoint"] == "train",
    script:
        "../scripts/evaluate_mappers.py"


rule tabulate_alignment:
    input:
        records=expand(rules.evaluate_mappers.output.records, split=SPLITS),
        cells=expand(rules.evaluate_mappers.output.cells, split=SPLITS),
        curves=expand(rules.train_mapper.output.curves, split="objects", norm=NORMS),
        code=code("tabulate_alignment"),
    output:
        table=report(f"{RESULTS}/tables/table3.csv", category="Tables"),
        extended=report(f"{RESULTS}/tables/table3_extended.csv", category="Tables"),
        corruptions=f"{RESULTS}/evaluations/per_corruption.csv",
        plots=report(
            expand(
                f"{RESULTS}/plots/{{plot}}.{{suffix}}",
                plot=["alignment", "retrieval", "alignment_corruptions", "loss_curves"],
                suffix=["png", "svg"],
            ),
            category="Plots",
        ),
    log:
        f"{LOGS}/tabulate_alignment.log",
    conda:
        "../../envs/report.yaml"
    params:
        provenance={
            "preset": PARAMS["preset"],
            "data": PARAMS["clouds"]["source"],
            "image_model": IMAGE_MODEL,
            "layer": PARAMS["alignment"]["image_embedding"]["layer"],
            "image_weights": PARAMS["encoders"]["images"][IMAGE_MODEL]["weights"],
            "point_encoder": PARAMS["encoders"]["points"]["name"],
            "point_weights": PARAMS["encoders"]["points"]["checkpoint"],
        },
    script:
        "../scripts/tabulate_alignment.py"
