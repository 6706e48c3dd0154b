# Tables I-III with their plots, the page that reads them, and the selected mapper's metrics.
#
# INPUTS    speed.csv, manifests/, embeddings/; what alignment.smk makes of Table III
# OUTPUTS   tables/table{1,2}.csv, tables/table2_{extended,pairs}.csv, tables/per_corruption.csv, tables/summary.md
#           plots/{speed,zero_shot,corruptions}.{png,svg}
#           metrics.json                                 for `dvc metrics` and `dvc exp show`
# STEPS     tabulate_speed, tabulate_zero_shot, tabulate_corruptions -> summarise, select_mapper


rule tabulate_speed:
    input:
        records=rules.measure_speed.output[0],
        code=code("tabulate_speed"),
    output:
        table=report(f"{RESULTS}/tables/table1.csv", category="Tables"),
        plot=report(multiext(f"{RESULTS}/plots/speed", ".png", ".svg"), category="Plots"),
    log:
        f"{LOGS}/tabulate_speed.log",
    conda:
        "../../envs/report.yaml"
    params:
        preset=PARAMS["preset"],
        data=PARAMS["clouds"]["source"],
        seed=PARAMS["seeds"]["render"],
    script:
        "../scripts/tabulate_speed.py"


rule tabulate_zero_shot:
    input:
        manifests=[rules.draw_manifests.output.roulette, rules.draw_manifests.output.test],
        images=expand(rules.embed_images.output.images, clip=CLIPS),
        prompts=expand(rules.embed_images.output.prompts, clip=CLIPS),
        code=code("tabulate_zero_shot"),
    output:
        table=report(f"{RESULTS}/tables/table2.csv", category="Tables"),
        extended=report(f"{RESULTS}/tables/table2_extended.csv", category="Tables"),
        pairs=report(f"{RESULTS}/tables/table2_pairs.csv", category="Tables"),
        plot=report(multiext(f"{RESULTS}/plots/zero_shot", ".png", ".svg"), category="Plots"),
    log:
        f"{LOGS}/tabulate_zero_shot.log",
    conda:
        "../../envs/report.yaml"
    params:
        preset=PARAMS["preset"],
        data=PARAMS["clouds"]["source"],
        weights={name: clip["weights"] for name, clip in PARAMS["encoders"]["images"].items()},
        style=PARAMS["zero_shot"]["class_names"],
        top=PARAMS["zero_shot"]["top"],
        seed=PARAMS["seeds"]["roulette"],
        classes=len(CLASSES),
    script:
        "../scripts/tabulate_zero_shot.py"


rule tabulate_corruptions:
    input:
        manifest=rules.draw_manifests.output.test,
        images=expand(rules.embed_images.output.images, clip=CLIPS),
        prompts=expand(rules.embed_images.output.prompts, clip=CLIPS),
        alignment=rules.tabulate_alignment.output.corruptions,
        code=code("tabulate_corruptions"),
    output:
        table=report(f"{RESULTS}/tables/per_corruption.csv", category="Tables"),
        plot=report(multiext(f"{RESULTS}/plots/corruptions", ".png", ".svg"), category="Plots"),
    log:
        f"{LOGS}/tabulate_corruptions.log",
    conda:
        "../../envs/report.yaml"
    params:
        preset=PARAMS["preset"],
        data=PARAMS["clouds"]["source"],
        models=CLIPS,
        style=PARAMS["zero_shot"]["class_names"],
        top=PARAMS["zero_shot"]["top"],
    script:
        "../scripts/tabulate_corruptions.py"


rule select_mapper:
    input:
        zero_shot=rules.tabulate_zero_shot.output.table,
        alignment=rules.tabulate_alignment.output.table,
        code=code("select_mapper"),
    output:
        f"{RESULTS}/metrics.json",
    log:
        f"{LOGS}/select_mapper.log",
    conda:
        "../../envs/report.yaml"
    params:
        norm=PARAMS["mapper"]["norm"],
    script:
        "../scripts/select_mapper.py"


rule summarise:
    input:
        tables=[
            rules.tabulate_speed.output.table,
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
        code=code("summarise"),
    output:
        report(f"{RESULTS}/tables/summary.md", category="Tables"),
    log:
        f"{LOGS}/summarise.log",
    conda:
        "../../envs/report.yaml"
    script:
        "../scripts/summarise.py"


rule select:
    input:
        rules.select_mapper.output,


rule tables:
    input:
        rules.summarise.output,
