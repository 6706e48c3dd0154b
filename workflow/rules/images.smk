# The CLIPs, and the embeddings of the renders and the prompts.
#
# INPUTS    manifests/, renders/<class>/; params: encoders.images
# OUTPUTS   encoders/images/<clip>/                an open_clip model directory, history.csv, of a CLIP trained here
#           embeddings/images/<clip>.h5            layers pooled and projected
#           embeddings/prompts/<clip>.h5           the prompts of each class, in every style
#           embeddings/projections/<clip>.h5       the matrix from pooled to projected
# STEPS     train_clip (one job per CLIP) -> embed_images (one job per model: loading it costs more than a class)


rule train_clip:
    input:
        manifest=MANIFESTS["encoders"],
        renders=RENDERS,
    output:
        directory(f"{RESULTS}/encoders/images/{{clip}}"),
    log:
        f"{LOGS}/train_clip/{{clip}}.log",
    benchmark:
        f"{BENCHMARKS}/train_clip/{{clip}}.tsv"
    # The longest way to the mappers starts with the CLIP whose embeddings they predict
    priority: lambda wildcards: 2 if wildcards.clip == PARAMS.alignment.image_embedding.model else 1
    conda:
        "../../envs/learn.yaml"
    threads: 1  # the bytes of a training depend on its threads
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        classes=CLASSES,
        clip=lambda wildcards: CLIPS[wildcards.clip].training(),
        zero_shot=dump(PARAMS.zero_shot, "prompt", "class_names"),
        # Not an output: Snakemake deletes the outputs of a failed job
        checkpoint=f"{RESULTS}/checkpoints/{{clip}}.safetensors",
        seed=PARAMS.seeds.encoders,
        code=code("train_clip"),
    message:
        "train {wildcards.clip}"
    script:
        "../scripts/train_clip.py"


rule embed_images:
    input:
        manifests=EVALUATED,
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


rule images:
    input:
        expand(rules.embed_images.output, clip=CLIPS),
