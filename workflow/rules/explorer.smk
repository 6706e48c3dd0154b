# The page to explore: one file that opens in a browser.
#
# INPUTS    manifests/test.csv, renders/, embeddings/, mappers/objects/fits/, tables/
# OUTPUTS   explorer.html    the test clouds on maps of their embeddings, what the CLIPs answer, and the tables
# STEPS     draw_explorer

# Without Table I: this page has no measured time, so that equal results give equal bytes.
EXPLORED_TABLES = {
    "Table II: zero-shot classification of renders": f"{RESULTS}/tables/table2.csv",
    "Table III: mapping point clouds to images": f"{RESULTS}/tables/table3.csv",
    "Table V: search without a render": f"{RESULTS}/tables/table5.csv",
}


rule draw_explorer:
    input:
        **SEARCH_PREDICTOR,
        test=MANIFESTS["test"],
        renders=RENDERS,
        points=POINT_EMBEDDINGS,
        images=expand(IMAGE_EMBEDDINGS, clip=CLIPS),
        prompts=expand(PROMPTS, clip=CLIPS),
        tables=list(EXPLORED_TABLES.values()),
    output:
        f"{RESULTS}/explorer.html",
    log:
        f"{LOGS}/draw_explorer.log",
    benchmark:
        f"{BENCHMARKS}/draw_explorer.tsv"
    conda:
        "../../envs/learn.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        seed=SEARCH_SEED,
        clips=list(CLIPS),
        image_model=IMAGE_MODEL,
        layer=PARAMS.alignment.image_embedding.layer,
        style=PARAMS.zero_shot.class_names,
        titles=list(EXPLORED_TABLES),
        made={
            **PROVENANCE,
            "renders": IMAGE_MODEL,
            "points": PARAMS.encoders.points.name,
        },
        code=code("draw_explorer"),
    message:
        "draw the page to explore"
    script:
        "../scripts/draw_explorer.py"
