# Renders, and how fast they are made (Table I's measurements).
#
# INPUTS    clouds/<class>.h5; params: render, speed
# OUTPUTS   variants.json                which Mitsuba variants work on this machine, and which is used
#           renders/<class>/             <corruption>_<severity>/<object>.png, every cloud of the class
#           speed.csv                    reference procedure and both qualities of ours, every variant
# STEPS     probe_variants -> render_class (one job, one warm process per class)
#           probe_variants -> measure_speed (alone on the machine)


rule probe_variants:
    input:
        code=code("probe_variants"),
    output:
        f"{RESULTS}/variants.json",
    log:
        f"{LOGS}/probe_variants.log",
    conda:
        "../../envs/render.yaml"
    params:
        variant=PARAMS["render"]["variant"],
    script:
        "../scripts/probe_variants.py"


rule render_class:
    input:
        clouds=rules.build_clouds.output[0],
        variants=rules.probe_variants.output[0],
        code=code("render_class"),
    output:
        directory(f"{RESULTS}/renders/{{class_name}}"),
    log:
        f"{LOGS}/render_class/{{class_name}}.log",
    conda:
        "../../envs/render.yaml"
    # Two one-thread processes outrun one two-thread process by 1.4: Snakemake's cores are processes.
    threads: 1
    params:
        render={key: PARAMS["render"][key] for key in ("resolution", "quality")},
        seed=PARAMS["seeds"]["render"],
    script:
        "../scripts/render_class.py"


rule measure_speed:
    input:
        manifest=rules.draw_manifests.output.test,
        clouds=expand(rules.build_clouds.output, class_name=CLASSES),
        variants=rules.probe_variants.output[0],
        code=code("measure_speed"),
    output:
        f"{RESULTS}/speed.csv",
    log:
        f"{LOGS}/measure_speed.log",
    conda:
        "../../envs/render.yaml"
    # All cores, so that nothing else runs beside a measurement.
    threads: workflow.cores
    params:
        resolution=PARAMS["render"]["resolution"],
        speed=PARAMS["speed"],
        seed=PARAMS["seeds"]["render"],
    script:
        "../scripts/measure_speed.py"


rule render:
    input:
        expand(rules.render_class.output, class_name=CLASSES),


rule speed:
    input:
        rules.measure_speed.output,
