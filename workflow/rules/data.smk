# Clouds and manifests.
#
# INPUTS    params: clouds, alignment, test, roulette, seeds; the folder's or the release's files
# OUTPUTS   objects.csv                  every object: class, object, role
#           manifests/<name>.csv         which clouds are used for what
#           clouds/<class>.h5            those clouds, a group per variant
# STEPS     list_objects -> draw_manifests -> build_clouds (one job per class)


rule list_objects:
    input:
        source_files,
        code=code("list_objects"),
    output:
        f"{RESULTS}/objects.csv",
    log:
        f"{LOGS}/list_objects.log",
    conda:
        "../../envs/report.yaml"
    params:
        clouds=PARAMS["clouds"],
        seed=PARAMS["seeds"]["objects"],
    script:
        "../scripts/list_objects.py"


rule draw_manifests:
    input:
        objects=rules.list_objects.output[0],
        code=code("draw_manifests"),
    output:
        **{name: f"{RESULTS}/manifests/{name}.csv" for name in MANIFESTS},
    log:
        f"{LOGS}/draw_manifests.log",
    conda:
        "../../envs/report.yaml"
    params:
        corruptions=PARAMS["clouds"]["corruptions"],
        severities=PARAMS["clouds"]["severities"],
        encoder_variants=PARAMS["clouds"]["encoder_variants"],
        alignment={key: PARAMS["alignment"][key] for key in ("clouds", "split", "held_out_classes")},
        test=PARAMS["test"]["clouds"],
        repeats=PARAMS["roulette"]["repeats"],
        seeds={
            key: PARAMS["seeds"][key]
            for key in ("alignment", "split", "test", "roulette", "encoders")
        },
    script:
        "../scripts/draw_manifests.py"


rule build_clouds:
    input:
        source_files,
        manifests=rules.draw_manifests.output,
        code=code("build_clouds"),
    output:
        f"{RESULTS}/clouds/{{class_name}}.h5",
    log:
        f"{LOGS}/build_clouds/{{class_name}}.log",
    conda:
        "../../envs/report.yaml"
    params:
        clouds=PARAMS["clouds"],
        seeds={key: PARAMS["seeds"][key] for key in ("objects", "corruptions")},
    script:
        "../scripts/build_clouds.py"


rule data:
    input:
        rules.list_objects.output,
        rules.draw_manifests.output,
        expand(rules.build_clouds.output, class_name=CLASSES),
