# Embeddings of every cloud that is aligned or evaluated, of its render, and of the prompts.
#
# INPUTS    manifests/{alignment,test,roulette}.csv, clouds/<class>.h5, renders/<class>/, encoders/<name>/ or published weights
# OUTPUTS   embeddings/points/<class>.h5           the point encoder's global feature
#           embeddings/images/<clip>/<class>.h5    layers pooled and projected
#           embeddings/prompts/<clip>.h5           the prompts of each class, in every style
#           embeddings/projections/<clip>.h5       the matrix from pooled to projected
# STEPS     embed_points, embed_images (one job per model: loading it costs more than embedding a class)


rule embed_points:
    input:
        manifests=EVALUATED,
        clouds=CLOUDS,
        model=point_checkpoint(),
    output:
        POINT_EMBEDDINGS,
    log:
        f"{LOGS}/embed_points.log",
    benchmark:
        f"{BENCHMARKS}/embed_points.tsv"
    conda:
        "../../envs/learn.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=240,
    params:
        name=PARAMS.encoders.points.name,
        preset=PARAMS.preset,
        code=code("embed_points", POINT_ARCHITECTURE),
    message:
        "embed the clouds with {params.name}"
    script:
        "../scripts/embed_points.py"


rule embed_images:
    input:
        manifests=EVALUATED,
        clouds=CLOUDS,
        renders=RENDERS,
        weights=clip_weights,
        commit=ancient(clip_commit),  # the parameter `revision` changes with it
    output:
        images=IMAGE_EMBEDDINGS,
        prompts=PROMPTS,
        projection=PROJECTION,
    log:
        f"{LOGS}/embed_images/{{clip}}.log",
    benchmark:
        f"{BENCHMARKS}/embed_images/{{clip}}.tsv"
    conda:
        "../../envs/learn.yaml"
    # A tiny CLIP gains nothing from more than one
    threads: lambda wildcards: 1 if CLIPS[wildcards.clip].weights == "train" else 8
    resources:
        mem_mb=12000 if HUB else 4000,
        runtime=720 if HUB else 60,
        gpu=GPUS,
    params:
        classes=CLASSES,
        clip=lambda wildcards: dump(CLIPS[wildcards.clip]),
        revision=lambda wildcards: getattr(
            REMOTES.get(CLIPS[wildcards.clip].weights), "version", None
        ),
        zero_shot=dump(PARAMS.zero_shot, "prompt", "templates"),
        precision=PARAMS.encoders.image_precision,
        preset=PARAMS.preset,
        code=code("embed_images"),
    message:
        "embed the renders and the prompts with {wildcards.clip}"
    script:
        "../scripts/embed_images.py"


rule embed:
    input:
        rules.embed_points.output,
        expand(rules.embed_images.output, clip=CLIPS),
