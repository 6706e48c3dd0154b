# Predictors of image embeddings from cloud embeddings, which Table III compares: mappers and baselines.
#
# INPUTS    manifests/alignment.csv, embeddings/; params: mapper, alignment, baselines
# OUTPUTS   mappers/<split>/<norm>/    last and best weights of every seed, runs.json with their losses
#           curves/<split>/<norm>/     train and test loss of every epoch, a file per seed
#           mappers/<split>/fits/      every baseline, facts.json with what each fit chose
#           mappers/choice.csv         how well each retrieves training clouds that were left out: for search
# STEPS     train_mapper (one job per split and norm, all seeds), fit_predictors (one job per split), choose_predictor
#
# A killed job continues from checkpoints/<split>/<norm>/, which are no outputs: Snakemake deletes those of a failed job.

FITS = {
    "lambdas": PARAMS.baselines.ridge_lambdas,
    "folds": PARAMS.baselines.folds,
    "fold_seed": PARAMS.seeds.split,
}


rule train_mapper:
    input:
        manifest=MANIFESTS["alignment"],
        points=POINT_EMBEDDINGS,
        images=IMAGE_EMBEDDINGS.format(clip=PARAMS.alignment.image_embedding.model),
        init=lambda wildcards: (
            PARAMS.mapper.init.replace("{norm}", wildcards.norm) if PARAMS.mapper.init else []
        ),
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
        curves=expand(CURVES, seed=PARAMS.mapper.seeds, allow_missing=True),
    log:
        f"{LOGS}/train_mapper/{{split}}_{{norm}}.log",
    benchmark:
        f"{BENCHMARKS}/train_mapper/{{split}}_{{norm}}.tsv"
    priority: 1  # the longest jobs of the phase first
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
        init=lambda wildcards: PARAMS.mapper.init,  # Snakemake would fill in {norm}
        settings=PARAMS.mapper.model_dump(exclude={"norm", "init", "seeds"}),
        seeds=PARAMS.mapper.seeds,
        code=code("train_mapper"),
    message:
        "train the mappers with norm '{wildcards.norm}', split by {wildcards.split}"
    script:
        "../scripts/train_mapper.py"


rule fit_predictors:
    input:
        manifest=MANIFESTS["alignment"],
        points=POINT_EMBEDDINGS,
        images=IMAGE_EMBEDDINGS.format(clip=PARAMS.alignment.image_embedding.model),
    output:
        directory(f"{RESULTS}/mappers/{{split}}/fits"),
    log:
        f"{LOGS}/fit_predictors/{{split}}.log",
    benchmark:
        f"{BENCHMARKS}/fit_predictors/{{split}}.tsv"
    conda:
        "../../envs/learn.yaml"
    threads: 1  # the bytes of a fit depend on its threads
    resources:
        mem_mb=8000 if PARAMS.alignment.clouds == "all" or GPUS else 2000,
        runtime=1440 if PARAMS.alignment.clouds == "all" else 120,
    params:
        layer=PARAMS.alignment.image_embedding.layer,
        column=lambda wildcards: SPLITS[wildcards.split],
        unit=lambda wildcards: UNITS[wildcards.split],
        baselines=FITS,
        settings=PARAMS.mapper.model_dump(exclude={"norm", "init", "seeds"}),
        seeds=PARAMS.mapper.seeds,
        code=code("fit_predictors"),
    message:
        "fit the baselines, split by {wildcards.split}"
    script:
        "../scripts/fit_predictors.py"


rule choose_predictor:
    input:
        manifest=MANIFESTS["alignment"],
        points=POINT_EMBEDDINGS,
        images=IMAGE_EMBEDDINGS.format(clip=PARAMS.alignment.image_embedding.model),
        init=[PARAMS.mapper.init.replace("{norm}", norm) for norm in NORMS if PARAMS.mapper.init],
    output:
        f"{RESULTS}/mappers/choice.csv",
    log:
        f"{LOGS}/choose_predictor.log",
    conda:
        "../../envs/learn.yaml"
    threads: 1  # the scores depend on its threads
    resources:
        mem_mb=16000 if PARAMS.alignment.clouds == "all" else 8000 if GPUS else 2000,
        runtime=1440 if GPUS else 120,
        gpu=GPUS,
    params:
        layer=PARAMS.alignment.image_embedding.layer,
        validation={**FITS, "used": PARAMS.baselines.choice_folds, "direct": SPACE is not None},
        settings=PARAMS.mapper.model_dump(exclude={"norm", "init", "seeds"}),
        init=lambda wildcards: PARAMS.mapper.init,  # Snakemake would fill in {norm}
        seed=PARAMS.mapper.seeds[0],
        code=code("choose_predictor"),
    message:
        "choose the predictor of search"
    script:
        "../scripts/choose_predictor.py"


rule map:
    input:
        rules.choose_predictor.output,
        expand(rules.train_mapper.output, split=SPLITS, norm=NORMS),
        expand(rules.fit_predictors.output, split=SPLITS),
