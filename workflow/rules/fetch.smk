# What data/sources.csv names and is not there yet.
#
# INPUTS    data/sources.csv; params: clouds, encoders
# OUTPUTS   data/<place>                 an archive's folder, or a file
#           data/hub/<model>.txt         the commit of a CLIP that is in the Hugging Face hub's cache
# STEPS     fetch_archive, fetch_file, fetch_clip (each wherever a job needs it; `fetch`: all that the preset needs)


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


rule fetch:
    input:
        source_files,
        [path for path in [point_checkpoint(), *train_split()] if path in FETCHED],
        expand(rules.fetch_clip.output, model=HUB),
