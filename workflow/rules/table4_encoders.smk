# Encoders of Table IV: training and embedding. An encoder with the settings of encoders.points is done in other phases.
#
# INPUTS    manifests/, clouds/; params: table4
# OUTPUTS   table4/<encoder>/{model.safetensors,history.csv,metrics.json}
#           table4/<encoder>/embeddings.h5
# STEPS     train_encoder -> embed_encoder (one job per encoder)

ENCODERS = PARAMS.table4.encoders
TABLE4 = f"{RESULTS}/table4"
ENCODER_CODE = {
    name: f"pointspider.encoders.points.architectures.{encoder.name}"
    for name, encoder in ENCODERS.items()
}


rule train_encoder:
    input:
        manifest=MANIFESTS["encoders"],
        test=MANIFESTS["test"],
        clouds=CLOUDS,
        train_split=lambda wildcards: train_split(ENCODERS[wildcards.encoder]),
    output:
        weights=f"{TABLE4}/{{encoder}}/model.safetensors",
        history=f"{TABLE4}/{{encoder}}/history.csv",
        metrics=f"{TABLE4}/{{encoder}}/metrics.json",
    log:
        f"{LOGS}/train_encoder/{{encoder}}.log",
    benchmark:
        f"{BENCHMARKS}/train_encoder/{{encoder}}.tsv"
    conda:
        "../../envs/learn.yaml"
    threads: 1  # the bytes of a training depend on its threads
    resources:
        mem_mb=8000,
        runtime=1440,
        gpu=GPUS,
    params:
        classes=CLASSES,
        points=PARAMS.clouds.points,
        name=lambda wildcards: ENCODERS[wildcards.encoder].name,
        settings=lambda wildcards: ENCODERS[wildcards.encoder].training(),
        checkpoint=f"{RESULTS}/checkpoints/table4/{{encoder}}.safetensors",
        seed=PARAMS.seeds.encoders,
        code=lambda wildcards: code("train_points", ENCODER_CODE[wildcards.encoder]),
    message:
        "train {wildcards.encoder} for Table IV"
    script:
        "../scripts/train_points.py"


rule embed_encoder:
    input:
        manifests=EVALUATED,
        clouds=CLOUDS,
        model=lambda wildcards: point_checkpoint(
            ENCODERS[wildcards.encoder], rules.train_encoder.output.weights
        ),
    output:
        f"{TABLE4}/{{encoder}}/embeddings.h5",
    log:
        f"{LOGS}/embed_encoder/{{encoder}}.log",
    benchmark:
        f"{BENCHMARKS}/embed_encoder/{{encoder}}.tsv"
    conda:
        "../../envs/learn.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=240,
    params:
        name=lambda wildcards: ENCODERS[wildcards.encoder].name,
        preset=PARAMS.preset,
        code=lambda wildcards: code("embed_points", ENCODER_CODE[wildcards.encoder]),
    message:
        "embed the clouds with {wildcards.encoder}"
    script:
        "../scripts/embed_points.py"
