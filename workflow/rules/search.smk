# Table V: search by mapped clouds, by renders and by point features, and what skipping the render saves.
#
# INPUTS    manifests/test.csv, embeddings/, mappers/objects/
# OUTPUTS   evaluations/search/{records,duplicates}.csv   every query by every path; duplicates by severity
#           tables/{table5,search,search_differences,duplicates}.csv, tables/table5.json
#           plots/{search,duplicates}.svg
# STEPS     evaluate_search -> tabulate_search

SEARCH_SEED = PARAMS.mapper.seeds[0]
# Of `load_chosen`, which loads the predictor that cross-validation chose
SEARCH_PREDICTOR = {
    "choice": f"{RESULTS}/mappers/choice.csv",
    "fits": f"{RESULTS}/mappers/objects/fits",
    "mappers": [
        f"{RESULTS}/mappers/objects/{norm}/{name}"
        for norm in NORMS
        for name in (f"seed_{SEARCH_SEED}_last.safetensors", "runs.json")
    ],
}


rule evaluate_search:
    input:
        **SEARCH_PREDICTOR,
        test=MANIFESTS["test"],
        points=POINT_EMBEDDINGS,
        images=IMAGE_EMBEDDINGS.format(clip=IMAGE_MODEL),
    output:
        records=f"{RESULTS}/evaluations/search/records.csv",
        duplicates=f"{RESULTS}/evaluations/search/duplicates.csv",
        curves=f"{RESULTS}/tables/duplicates.csv",
    log:
        f"{LOGS}/evaluate_search.log",
    benchmark:
        f"{BENCHMARKS}/evaluate_search.tsv"
    conda:
        "../../envs/learn.yaml"
    threads: 1  # rounding depends on the number of threads
    resources:
        mem_mb=8000 if GPUS else 2000,
        runtime=240,
    params:
        seed=SEARCH_SEED,
        norms=NORMS,
        image_model=IMAGE_MODEL,
        layer=PARAMS.alignment.image_embedding.layer,
        point_encoder=PARAMS.encoders.points.name,
        code=code("evaluate_search"),
    message:
        "measure the search by renders, point features and mapped clouds"
    script:
        "../scripts/evaluate_search.py"


rule tabulate_search:
    input:
        records=rules.evaluate_search.output.records,
        duplicates=rules.evaluate_search.output.duplicates,
        curves=rules.evaluate_search.output.curves,
        choice=f"{RESULTS}/mappers/choice.csv",
    output:
        tables=expand(
            f"{RESULTS}/tables/{{table}}.csv",
            table=["table5", "search", "search_differences"],
        ),
        provenance=f"{RESULTS}/tables/table5.json",
        plots=expand(f"{RESULTS}/plots/{{plot}}.svg", plot=["search", "duplicates"]),
    log:
        f"{LOGS}/tabulate_search.log",
    conda:
        "../../envs/report.yaml"
    params:
        provenance={
            **PROVENANCE,
            "seeds": dump(PARAMS.seeds, "alignment", "split", "test", "render"),
            "image_model": IMAGE_MODEL,
            "layer": PARAMS.alignment.image_embedding.layer,
            "point_encoder": PARAMS.encoders.points.name,
            "seed": SEARCH_SEED,
        },
        code=code("tabulate_search"),
    message:
        "write Table V"
    script:
        "../scripts/tabulate_search.py"
