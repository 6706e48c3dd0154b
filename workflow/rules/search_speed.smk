# The times of Table V: seconds from a cloud to an embedding by each path.
#
# INPUTS    manifests/test.csv, clouds/, renders/, encoders/, mappers/objects/fits/, speed.{csv,json}
# OUTPUTS   speed/{search_seconds,table5_seconds}.csv, speed/table5_seconds.{md,svg}
# STEPS     time_search (alone on the machine) -> tabulate_search_speed
#
# No two runs agree on a time, so no other table depends on these files.

from types import SimpleNamespace


rule time_search:
    input:
        **SEARCH_PREDICTOR,
        test=MANIFESTS["test"],
        clouds=CLOUDS,
        renders=RENDERS,
        weights=lambda _: clip_weights(SimpleNamespace(clip=IMAGE_MODEL)),
        point_encoder=point_checkpoint(),
    output:
        f"{RESULTS}/speed/search_seconds.csv",
    log:
        f"{LOGS}/time_search.log",
    benchmark:
        f"{BENCHMARKS}/time_search.tsv"
    priority: 1  # whenever all cores are free, rather than at the end
    conda:
        "../../envs/learn.yaml"
    # All cores, so that no other job runs at the same time
    threads: workflow.cores
    resources:
        mem_mb=12000 if HUB else 4000,
        runtime=60,
        gpu=GPUS,
    params:
        clouds=4,  # at each severity
        seed=SEARCH_SEED,
        clip=dump(CLIPS[IMAGE_MODEL]),
        revision=getattr(REMOTES.get(CLIPS[IMAGE_MODEL].weights), "version", None),
        image_model=IMAGE_MODEL,
        point_encoder=PARAMS.encoders.points.name,
        code=code("time_search", POINT_ARCHITECTURE),
    message:
        "time the paths of Table V, alone on the machine"
    script:
        "../scripts/time_search.py"


rule tabulate_search_speed:
    input:
        seconds=rules.time_search.output[0],
        choice=f"{RESULTS}/mappers/choice.csv",
        speed=f"{RESULTS}/speed.csv",
        variants=f"{RESULTS}/speed.json",
    output:
        table=f"{RESULTS}/speed/table5_seconds.csv",
        page=f"{RESULTS}/speed/table5_seconds.md",
        plot=f"{RESULTS}/speed/table5_seconds.svg",
    log:
        f"{LOGS}/tabulate_search_speed.log",
    conda:
        "../../envs/report.yaml"
    params:
        provenance={
            **PROVENANCE,
            "resolution": PARAMS.render.resolution,
            "image_model": IMAGE_MODEL,
            "point_encoder": PARAMS.encoders.points.name,
        },
        code=code("tabulate_search_speed"),
    message:
        "write the times of Table V"
    script:
        "../scripts/tabulate_search_speed.py"
