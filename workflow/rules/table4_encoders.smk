# Encoders of Table IV: training and embedding. An encoder with the settings of encoders.points is done in other phases.
#
# INPUTS    manifests/, clouds/; params: table4
# OUTPUTS   table4/<encoder>/{model.safetensors,history.csv,metrics.json}
#           table4/<encoder>/embeddings/<class>.h5
# STEPS     train_encoder -> embed_encoder (one job per encoder)

ENCODERS = PARAMS.table4.encoders
TABLE4 = f"{RESULTS}/table4"


def is_main(wildcards):
    return ENCODERS[wildcards.encoder] == PARAMS.encoders.points


def encoder_model(wildcards):
    return point_checkpoint(ENCODERS[wildcards.encoder], rules.train_encoder.output.weights)


def no_encoders(wildcards):
    raise WorkflowError("table4.encoders: lists no encoder; params.yaml has examples.")


def encoder_code(script):
    name = "pointspider.encoders.points.architectures.{}".format
    return lambda wildcards: code(script, name(ENCODERS[wildcards.encoder].name))


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
        code=encoder_code("train_points"),
    message:
        "train {wildcards.encoder} for Table IV"
    script:
        "../scripts/train_points.py"


rule embed_encoder:
    input:
        manifests=EVALUATED,
        clouds=CLOUDS,
        model=encoder_model,
    output:
        [f"{TABLE4}/{{encoder}}/embeddings/{name}.h5" for name in CLASSES],
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
        code=encoder_code("embed_points"),
    message:
        "embed the clouds with {wildcards.encoder}"
    script:
        "../scripts/embed_points.py"
