# Contact sheets: what the clouds and the renders look like.
#
# INPUTS    objects.csv, manifests/roulette.csv, renders/<class>/
# OUTPUTS   plots/classes.{png,svg}      a clean cloud of every class
#           plots/variants.{png,svg}     one object in every variant
#           plots/renders.{png,svg}      the first Double Roulette draw (the paper's Fig. 1)
# STEPS     draw_clouds, draw_renders


rule draw_renders:
    input:
        manifest=rules.draw_manifests.output.roulette,
        renders=expand(rules.render_class.output, class_name=CLASSES),
        code=code("draw_renders"),
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
        source_files,
        objects=rules.list_objects.output[0],
        code=code("draw_clouds"),
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
