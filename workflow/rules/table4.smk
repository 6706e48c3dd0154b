# Table IV: point encoders under one mapper and the same baselines. Not part of the default run: `snakemake table4`.
#
# INPUTS    manifests/, clouds/, embeddings/ of renders and prompts; table4/<encoder>/embeddings.h5; params: table4
# OUTPUTS   table4/<encoder>/{records.csv,facts.json}    every measure; parameters and embedding rate
#           table4/{table4,encoders}.csv, table4/table4.{json,md,svg}
# STEPS     compare_encoder (one job per encoder) -> tabulate_encoders


rule compare_encoder:
    input:
        alignment=MANIFESTS["alignment"],
        test=MANIFESTS["test"],
        clouds=CLOUDS[0],
        points=lambda wildcards: (
            POINT_EMBEDDINGS
            if ENCODERS[wildcards.encoder] == PARAMS.encoders.points
            else rules.embed_encoder.output[0]
        ),
        images=IMAGE_EMBEDDINGS.format(clip=IMAGE_MODEL),
        prompts=PROMPTS.format(clip=IMAGE_MODEL),
        projection=PROJECTION.format(clip=IMAGE_MODEL),
        point_encoder=lambda wildcards: (
            point_checkpoint()
            if ENCODERS[wildcards.encoder] == PARAMS.encoders.points
            else point_checkpoint(ENCODERS[wildcards.encoder], rules.train_encoder.output.weights)
        ),
    output:
        records=f"{TABLE4}/{{encoder}}/records.csv",
        facts=f"{TABLE4}/{{encoder}}/facts.json",
    log:
        f"{LOGS}/compare_encoder/{{encoder}}.log",
    conda:
        "../../envs/learn.yaml"
    threads: 1  # rounding depends on the number of threads
    resources:
        mem_mb=8000 if GPUS else 2000,
        runtime=1440 if GPUS else 240,
        gpu=GPUS,
    params:
        layer=PARAMS.alignment.image_embedding.layer,
        style=PARAMS.zero_shot.class_names,
        top=PARAMS.zero_shot.top,
        name=lambda wildcards: ENCODERS[wildcards.encoder].name,
        trained_here=lambda wildcards: ENCODERS[wildcards.encoder].checkpoint == "train",
        norm=PARAMS.mapper.norm,
        settings=PARAMS.mapper.model_dump(exclude={"norm", "init", "seeds"}),
        seeds=PARAMS.mapper.seeds,
        baselines=FITS,
        code=lambda wildcards: code("compare_encoder", ENCODER_CODE[wildcards.encoder]),
    message:
        "align {wildcards.encoder} and evaluate it"
    script:
        "../scripts/compare_encoder.py"


rule tabulate_encoders:
    input:
        records=expand(rules.compare_encoder.output.records, encoder=ENCODERS),
        facts=expand(rules.compare_encoder.output.facts, encoder=ENCODERS),
    output:
        table=f"{TABLE4}/table4.csv",
        measures=f"{TABLE4}/encoders.csv",
        provenance=f"{TABLE4}/table4.json",
        page=f"{TABLE4}/table4.md",
        plot=f"{TABLE4}/table4.svg",
    log:
        f"{LOGS}/tabulate_encoders.log",
    conda:
        "../../envs/report.yaml"
    params:
        provenance={
            **PROVENANCE,
            "norm": PARAMS.mapper.norm,
            "image_model": IMAGE_MODEL,
            "layer": PARAMS.alignment.image_embedding.layer,
            "encoders": {name: dump(encoder) for name, encoder in ENCODERS.items()},
        },
        code=code("tabulate_encoders"),
    message:
        "write Table IV"
    script:
        "../scripts/tabulate_encoders.py"


rule table4:
    input:
        rules.tabulate_encoders.output,
