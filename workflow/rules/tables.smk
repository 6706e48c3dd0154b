# Table II, the corruptions, the summary of Tables II and III, and the metrics of the selected mapper.
#
# INPUTS    manifests/, embeddings/; the outputs of alignment.smk
# OUTPUTS   tables/{table2,table2_extended,table2_pairs,per_corruption}.csv, tables/summary.md
#           plots/{zero_shot,corruptions}.svg
#           metrics.json                                 for `dvc metrics` and `dvc exp show`
# STEPS     tabulate_zero_shot, tabulate_corruptions -> summarise, select_mapper


rule tabulate_zero_shot:
    input:
        manifests=[MANIFESTS["roulette"], MANIFESTS["test"]],
        images=expand(IMAGE_EMBEDDINGS, clip=CLIPS),
        prompts=expand(PROMPTS, clip=CLIPS),
    output:
        table=report(f"{RESULTS}/tables/table2.csv", category="Tables"),
        extended=report(f"{RESULTS}/tables/table2_extended.csv", category="Tables"),
        pairs=report(f"{RESULTS}/tables/table2_pairs.csv", category="Tables"),
        plot=report(f"{RESULTS}/plots/zero_shot.svg", category="Plots"),
    log:
        f"{LOGS}/tabulate_zero_shot.log",
    conda:
        "../../envs/report.yaml"
    params:
        preset=PARAMS.preset,
        data=PARAMS.clouds.source,
        weights={name: clip.weights for name, clip in CLIPS.items()},
        style=PARAMS.zero_shot.class_names,
        top=PARAMS.zero_shot.top,
        seed=PARAMS.seeds.roulette,
        classes=len(CLASSES),
        code=code("tabulate_zero_shot"),
    message:
        "write Table II"
    script:
        "../scripts/tabulate_zero_shot.py"


rule tabulate_corruptions:
    input:
        manifest=MANIFESTS["test"],
        images=expand(IMAGE_EMBEDDINGS, clip=CLIPS),
        prompts=expand(PROMPTS, clip=CLIPS),
        alignment=rules.tabulate_alignment.output.corruptions,
    output:
        table=report(f"{RESULTS}/tables/per_corruption.csv", category="Tables"),
        plot=report(f"{RESULTS}/plots/corruptions.svg", category="Plots"),
    log:
        f"{LOGS}/tabulate_corruptions.log",
    conda:
        "../../envs/report.yaml"
    params:
        preset=PARAMS.preset,
        data=PARAMS.clouds.source,
        models=list(CLIPS),
        style=PARAMS.zero_shot.class_names,
        top=PARAMS.zero_shot.top,
        code=code("tabulate_corruptions"),
    message:
        "write the table of every corruption"
    script:
        "../scripts/tabulate_corruptions.py"


rule select_mapper:
    input:
        zero_shot=f"{RESULTS}/tables/table2.csv",
        alignment=f"{RESULTS}/tables/table3.csv",
    output:
        f"{RESULTS}/metrics.json",
    log:
        f"{LOGS}/select_mapper.log",
    conda:
        "../../envs/report.yaml"
    params:
        norm=PARAMS.mapper.norm,
        code=code("select_mapper"),
    message:
        "write the metrics of the mapper with norm '{params.norm}'"
    script:
        "../scripts/select_mapper.py"


rule summarise:
    input:
        tables=[
            rules.tabulate_zero_shot.output.table,
            rules.tabulate_zero_shot.output.extended,
            rules.tabulate_zero_shot.output.pairs,
            rules.tabulate_alignment.output.table,
            rules.tabulate_alignment.output.extended,
        ],
        plots=[
            rules.tabulate_corruptions.output.plot,
            rules.draw_renders.output,
            rules.draw_clouds.output,
        ],
    output:
        report(f"{RESULTS}/tables/summary.md", category="Tables"),
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
        rules.summarise.output,
