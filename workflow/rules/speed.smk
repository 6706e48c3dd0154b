# Table I: how fast renders are made.
#
# INPUTS    manifests/test.csv, clouds/<class>.h5; params: render, speed
# OUTPUTS   speed.csv                    times of the reference procedure and of ours, every Mitsuba variant and cloud
#           speed.json                   the device of each variant, or why it was not measured
#           speed/                       table1.{csv,json,md}, speed_measures.csv, speed.svg
# STEPS     measure_speed (alone on the machine) -> tabulate_speed
#
# No two runs agree on a measurement. So these files are not in git, and no other table depends on them.


rule measure_speed:
    input:
        manifest=MANIFESTS["test"],
        clouds=CLOUDS,
    output:
        table=f"{RESULTS}/speed.csv",
        variants=f"{RESULTS}/speed.json",
    log:
        f"{LOGS}/measure_speed.log",
    benchmark:
        f"{BENCHMARKS}/measure_speed.tsv"
    priority: 100  # when the clouds are built, all cores are free: later they would wait for each other
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
    message:
        "measure the speed of rendering, alone on the machine"
    script:
        "../scripts/measure_speed.py"


rule tabulate_speed:
    input:
        records=f"{RESULTS}/speed.csv",
        variants=f"{RESULTS}/speed.json",
    output:
        table=f"{RESULTS}/speed/table1.csv",
        measures=f"{RESULTS}/speed/speed_measures.csv",
        provenance=f"{RESULTS}/speed/table1.json",
        page=f"{RESULTS}/speed/table1.md",
        plot=f"{RESULTS}/speed/speed.svg",
    log:
        f"{LOGS}/tabulate_speed.log",
    conda:
        "../../envs/report.yaml"
    params:
        provenance={**PROVENANCE, "seeds": dump(PARAMS.seeds, "render")},
        code=code("tabulate_speed"),
    message:
        "write Table I"
    script:
        "../scripts/tabulate_speed.py"


rule speed:
    input:
        rules.measure_speed.output,
