# Table II, the summary of Tables II, III and V, and the metrics of the selected mapper.
#
# INPUTS    manifests/, embeddings/; the outputs of alignment.smk and search.smk
# OUTPUTS   tables/table2.{csv,json}, tables/{zero_shot,model_pairs,zero_shot_corruptions}.csv, tables/summary.md
#           plots/{zero_shot,corruptions}.svg
#           metrics.json                                 for `dvc metrics` and `dvc exp show`
# STEPS     tabulate_zero_shot -> summarise, select_mapper


rule tabulate_zero_shot:
    input:
        manifests=[MANIFESTS["roulette"], MANIFESTS["test"]],
        images=expand(IMAGE_EMBEDDINGS, clip=CLIPS),
        prompts=expand(PROMPTS, clip=CLIPS),
        points=POINT_EMBEDDINGS if SPACE else [],
    output:
        table=f"{RESULTS}/tables/table2.csv",
        measures=f"{RESULTS}/tables/zero_shot.csv",
        pairs=f"{RESULTS}/tables/model_pairs.csv",
        corruptions=f"{RESULTS}/tables/zero_shot_corruptions.csv",
        provenance=f"{RESULTS}/tables/table2.json",
        accuracies_plot=f"{RESULTS}/plots/zero_shot.svg",
        corruptions_plot=f"{RESULTS}/plots/corruptions.svg",
    log:
        f"{LOGS}/tabulate_zero_shot.log",
    conda:
        "../../envs/report.yaml"
    params:
        top=PARAMS.zero_shot.top,
        classes=len(CLASSES),
        provenance={
            **PROVENANCE,
            "seeds": dump(PARAMS.seeds, "roulette", "test", "render"),
            "prompts": PARAMS.zero_shot.class_names,
            "weights": {name: clip.weights for name, clip in CLIPS.items()}
            | ({PARAMS.encoders.points.name: PARAMS.encoders.points.checkpoint} if SPACE else {}),
            # Classifies clouds, with the prompts of its CLIP
            "cloud_encoder": PARAMS.encoders.points.name if SPACE else None,
            "cloud_clip": PARAMS.alignment.image_embedding.model if SPACE else None,
        },
        code=code("tabulate_zero_shot"),
    message:
        "write Table II"
    script:
        "../scripts/tabulate_zero_shot.py"


rule select_mapper:
    input:
        tables=[
            *(f"{RESULTS}/tables/{table}.csv" for table in ("zero_shot", "table3", "alignment")),
            f"{RESULTS}/mappers/choice.csv",
        ],
    output:
        f"{RESULTS}/metrics.json",
    log:
        f"{LOGS}/select_mapper.log",
    conda:
        "../../envs/report.yaml"
    params:
        norm=PARAMS.mapper.norm,
        init=lambda wildcards: PARAMS.mapper.init,  # Snakemake would fill in {norm}
        prompts=PARAMS.zero_shot.class_names,
        code=code("select_mapper"),
    message:
        "write the metrics of the mapper with norm '{params.norm}'"
    script:
        "../scripts/select_mapper.py"


rule summarise:
    input:
        tables=[
            rules.tabulate_zero_shot.output.measures,
            rules.tabulate_zero_shot.output.pairs,
            rules.tabulate_alignment.output.tables,
            rules.tabulate_search.output.tables,
            f"{RESULTS}/mappers/choice.csv",
        ],
        provenance=[
            rules.tabulate_zero_shot.output.provenance,
            rules.tabulate_alignment.output.provenance,
            rules.tabulate_search.output.provenance,
        ],
        linked=[rules.draw_renders.output, rules.draw_clouds.output],
    output:
        f"{RESULTS}/tables/summary.md",
    log:
        f"{LOGS}/summarise.log",
    conda:
        "../../envs/report.yaml"
    params:
        code=code("summarise"),
    message:
        "write the summary"
    script:
        "../scripts/summarise.py"


rule select:
    input:
        rules.select_mapper.output,


rule tables:
    input:
        rules.tabulate_speed.output,
        rules.tabulate_search_speed.output,
        rules.draw_explorer.output,
        rules.summarise.output,
