# Clouds and manifests.
#
# INPUTS    params: clouds, alignment, test, roulette, seeds; data/sources.csv; the folder's or the release's files
# OUTPUTS   data/<place>                 what data/sources.csv names and is not there yet
#           data/hub/<model>.txt         the commit of a CLIP that is in the Hugging Face hub's cache
#           objects.csv                  every object: class, object, role
#           manifests/<name>.csv         which clouds are used for what
#           clouds/<class>.h5            those clouds, a group per variant
# STEPS     fetch_archive -> list_objects -> draw_manifests -> build_clouds (one job per class); fetch_file, fetch_clip


# What is there is used, however it came: no rule applies to it, for Snakemake deletes what a rule makes anew.
rule fetch_archive:
    input:
        table="data/sources.csv",
        code=code("fetch"),
    output:
        directory("{place}"),
    log:
        "logs/fetch/{place}.log",
    wildcard_constraints:
        place=missing(archives=True),
    localrule: True
    conda:
        "../../envs/report.yaml"
    params:
        name=remote_name,
    script:
        "../scripts/fetch.py"


rule fetch_file:
    input:
        table="data/sources.csv",
        code=code("fetch"),
    output:
        "{place}",
    log:
        "logs/fetch/{place}.log",
    wildcard_constraints:
        place=missing(archives=False),
    priority: 1  # what must be put there by hand is told before hours of other work
    localrule: True
    conda:
        "../../envs/report.yaml"
    params:
        name=remote_name,
    script:
        "../scripts/fetch.py"


rule fetch_clip:
    input:
        code=code("fetch_clip"),
    output:
        "data/hub/{model}.txt",
    log:
        "logs/fetch/hub/{model}.log",
    wildcard_constraints:
        model="|".join(map(re.escape, HUB)) or "(?!)",
    priority: 1
    localrule: True
    conda:
        "../../envs/learn.yaml"
    params:
        backend=hub_backend,
        commit=hub_commit,
    script:
        "../scripts/fetch_clip.py"


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


rule fetch:
    input:
        source_files,
        [path for path in [point_checkpoint(), *train_split()] if path in FETCHED],
        expand(rules.fetch_clip.output, model=HUB),


rule data:
    input:
        rules.list_objects.output,
        rules.draw_manifests.output,
        expand(rules.build_clouds.output, class_name=CLASSES),
