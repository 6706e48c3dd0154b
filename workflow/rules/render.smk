# Renders, and how fast they are made (Table I).
#
# INPUTS    clouds/<class>.h5; params: render, speed
# OUTPUTS   renders/<class>/             <corruption>_<severity>/<object>.png, every cloud of the class;
#                                        render.json: the Mitsuba variant and the processor
#           speed.csv                    reference procedure and both qualities of ours, every variant
# STEPS     render_class (one job, one warm process per class)
#           measure_speed (alone on the machine)


rule render_class:
    message:
        "render the clouds of {wildcards.class_name}"
    input:
        clouds=f"{RESULTS}/clouds/{{class_name}}.h5",
    output:
        directory(f"{RESULTS}/renders/{{class_name}}"),
    log:
        f"{LOGS}/render_class/{{class_name}}.log",
    benchmark:
        f"{BENCHMARKS}/render_class/{{class_name}}.tsv"
    conda:
        "../../envs/render.yaml"
    # Two processes with one thread each are 1.4 times as fast as one process with two threads.
    threads: 1
    resources:
        mem_mb=2000,
        runtime=240,
    params:
        render=dump(PARAMS.render),
        seed=PARAMS.seeds.render,
        code=code("render_class"),
    script:
        "../scripts/render_class.py"


rule measure_speed:
    message:
        "measure the speed of rendering, alone on the machine"
    input:
        manifest=MANIFESTS["test"],
        clouds=CLOUDS,
    output:
        f"{RESULTS}/speed.csv",
    log:
        f"{LOGS}/measure_speed.log",
    benchmark:
        f"{BENCHMARKS}/measure_speed.tsv"
    conda:
        "../../envs/render.yaml"
    # All cores, so that no other job runs at the same time
    threads: workflow.cores
    resources:
        mem_mb=4000,
        runtime=240,
    params:
        resolution=PARAMS.render.resolution,
        speed=dump(PARAMS.speed),
        seed=PARAMS.seeds.render,
        code=code("measure_speed"),
    script:
        "../scripts/measure_speed.py"


rule render:
    input:
        expand(rules.render_class.output, class_name=CLASSES),


rule speed:
    input:
        rules.measure_speed.output,
