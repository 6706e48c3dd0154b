# Contact sheets of the clouds and of the renders.
#
# INPUTS    objects.csv, manifests/roulette.csv, renders/<class>/, the files of the source of clouds
# OUTPUTS   sheets/classes.png       a clean cloud of every class
#           sheets/corruptions.png   one object at every corruption level
#           sheets/renders.png       the first Double Roulette draw (the paper's Fig. 1)
# STEPS     draw_clouds, draw_renders


rule draw_renders:
    input:
        manifest=MANIFESTS["roulette"],
        renders=RENDERS,
    output:
        f"{RESULTS}/sheets/renders.png",
    log:
        f"{LOGS}/draw_renders.log",
    conda:
        "../../envs/report.yaml"
    params:
        preset=PARAMS.preset,
        code=code("draw_renders"),
    message:
        "draw the contact sheet of renders"
    script:
        "../scripts/draw_renders.py"


rule draw_clouds:
    input:
        source_files,
        objects=f"{RESULTS}/objects.csv",
    output:
        classes=f"{RESULTS}/sheets/classes.png",
        corruptions=f"{RESULTS}/sheets/corruptions.png",
    log:
        f"{LOGS}/draw_clouds.log",
    conda:
        "../../envs/report.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        preset=PARAMS.preset,
        clouds=dump(PARAMS.clouds),
        seeds=dump(PARAMS.seeds, "objects", "corruptions"),
        shown="chair" if "chair" in CLASSES else CLASSES[0],
        code=code("draw_clouds", *SOURCE_CODE, *CORRUPTION_CODE),
    message:
        "draw the contact sheets of clouds"
    script:
        "../scripts/draw_clouds.py"
