# Renders of the clouds.
#
# INPUTS    clouds/<class>.h5; params: render
# OUTPUTS   renders/<class>/             every cloud of the class, in the layout `render.layout`:
#                                        png: <corruption>_<severity>/<object>.png
#                                        shards: index.h5, 00000.h5, 00001.h5, …
#                                        render.json: the Mitsuba variant and the processor
# STEPS     render_class (one job, one warm process per class)


rule render_class:
    input:
        clouds=f"{RESULTS}/clouds/{{class_name}}.h5",
    output:
        directory(f"{RESULTS}/renders/{{class_name}}"),
    log:
        f"{LOGS}/render_class/{{class_name}}.log",
    benchmark:
        f"{BENCHMARKS}/render_class/{{class_name}}.tsv"
    priority: 1  # before embeddings of points, which can fill the time of the last training of a CLIP
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
    message:
        "render the clouds of {wildcards.class_name}"
    script:
        "../scripts/render_class.py"


rule render:
    input:
        expand(rules.render_class.output, class_name=CLASSES),
