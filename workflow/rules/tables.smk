# Tables I-III with their plots, contact sheets, the selected mapper's metrics, and the page that reads them.
#
# INPUTS    speed.csv, embeddings/, mappers/, curves/, manifests/, clouds/, renders/
# OUTPUTS   tables/table{1,2,3}.csv, tables/summary.md
#           plots/{speed,zero_shot,alignment,loss_curves}.{png,svg}
#           plots/{classes,variants,renders}.{png,svg}     contact sheets
#           metrics.json                                 for `dvc metrics` and `dvc exp show`
# STEPS     tabulate_speed, tabulate_zero_shot, tabulate_alignment -> select_mapper, summarise; draw_clouds, draw_renders


rule tabulate_speed:
    input:
        records=rules.measure_speed.output[0],
        code=code("tables.py", "plots.py", "evaluate", "mapper/__init__.py", "storage.py"),
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
        manifests=[rules.draw_manifests.output.roulette, rules.draw_manifests.output.clean],
        images=expand(rules.embed_images.output.images, clip=CLIPS),
        prompts=expand(rules.embed_images.output.prompts, clip=CLIPS),
        code=code("tables.py", "plots.py", "search.py", "evaluate", "embeddings.py", "storage.py"),
    output:
        table=report(f"{RESULTS}/tables/table2.csv", category="Tables"),
        plot=report(multiext(f"{RESULTS}/plots/zero_shot", ".png", ".svg"), category="Plots"),
    log:
        f"{LOGS}/tabulate_zero_shot.log",
    conda:
        "../../envs/report.yaml"
    params:
        preset=PARAMS["preset"],
        data=PARAMS["clouds"]["source"],
        weights={name: clip["weights"] for name, clip in PARAMS["encoders"]["images"].items()},
        top=PARAMS["zero_shot"]["top"],
        seed=PARAMS["seeds"]["roulette"],
    script:
        "../scripts/tabulate_zero_shot.py"


rule tabulate_alignment:
    input:
        manifest=rules.draw_manifests.output.alignment,
        points=rules.embed_points.output,
        images=rules.train_mapper.input.images,
        mappers=expand(rules.train_mapper.output.mappers, norm=NORMS),
        curves=expand(rules.train_mapper.output.curves, norm=NORMS),
        code=code(
            "tables.py",
            "plots.py",
            "evaluate",
            "mapper/baselines.py",
            "embeddings.py",
            "storage.py",
        ),
    output:
        table=report(f"{RESULTS}/tables/table3.csv", category="Tables"),
        plot=report(multiext(f"{RESULTS}/plots/alignment", ".png", ".svg"), category="Plots"),
        curves=report(multiext(f"{RESULTS}/plots/loss_curves", ".png", ".svg"), category="Plots"),
    log:
        f"{LOGS}/tabulate_alignment.log",
    conda:
        "../../envs/report.yaml"
    params:
        preset=PARAMS["preset"],
        data=PARAMS["clouds"]["source"],
        image_embedding=PARAMS["alignment"]["image_embedding"],
        image_weights=PARAMS["encoders"]["images"][
            PARAMS["alignment"]["image_embedding"]["model"]
        ]["weights"],
        points=PARAMS["encoders"]["points"],
    script:
        "../scripts/tabulate_alignment.py"


rule draw_renders:
    input:
        manifest=rules.draw_manifests.output.roulette,
        renders=expand(rules.render_class.output, class_name=CLASSES),
        code=code("plots.py", "storage.py"),
    output:
        report(multiext(f"{RESULTS}/plots/renders", ".png", ".svg"), category="Contact sheets"),
    log:
        f"{LOGS}/draw_renders.log",
    conda:
        "../../envs/report.yaml"
    params:
        preset=PARAMS["preset"],
    script:
        "../scripts/draw_renders.py"


rule draw_clouds:
    input:
        objects=rules.list_objects.output[0],
        code=code("plots.py", "clouds", "storage.py"),
    output:
        classes=report(
            multiext(f"{RESULTS}/plots/classes", ".png", ".svg"), category="Contact sheets"
        ),
        variants=report(
            multiext(f"{RESULTS}/plots/variants", ".png", ".svg"), category="Contact sheets"
        ),
    log:
        f"{LOGS}/draw_clouds.log",
    conda:
        "../../envs/report.yaml"
    params:
        preset=PARAMS["preset"],
        clouds=PARAMS["clouds"],
        seeds={key: PARAMS["seeds"][key] for key in ("objects", "corruptions")},
        shown="chair" if "chair" in CLASSES else CLASSES[0],
    script:
        "../scripts/draw_clouds.py"


rule select_mapper:
    input:
        zero_shot=rules.tabulate_zero_shot.output.table,
        alignment=rules.tabulate_alignment.output.table,
        code=code("tables.py", "evaluate", "mapper/__init__.py", "storage.py"),
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
        speed=rules.tabulate_speed.output.table,
        zero_shot=rules.tabulate_zero_shot.output.table,
        alignment=rules.tabulate_alignment.output.table,
        sheets=[rules.draw_renders.output, rules.draw_clouds.output],
        code=code("tables.py", "evaluate", "mapper/__init__.py", "storage.py"),
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
