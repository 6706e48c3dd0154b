# Renders, and how fast they are made (Table I's measurements).
#
# INPUTS    clouds/<class>.h5; params: render, speed
# OUTPUTS   renders/<class>/             <corruption>_<severity>/<object>.png, every cloud of the class;
#                                        render.json: the Mitsuba variant and the processor
#           speed.csv                    reference procedure and both qualities of ours, every variant
# STEPS     render_class (one job, one warm process per class)
#           measure_speed (alone on the machine)


rule render_class:
    input:
        clouds=rules.build_clouds.output[0],
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
        render={key: PARAMS["render"][key] for key in ("variant", "resolution", "quality")},
        seed=PARAMS["seeds"]["render"],
    script:
        "../scripts/render_class.py"


rule measure_speed:
    input:
        manifest=rules.draw_manifests.output.test,
        clouds=expand(rules.build_clouds.output, class_name=CLASSES),
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
