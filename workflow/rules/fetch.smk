# Downloads: files of data/sources.csv that the preset needs and that are not on this machine.
#
# INPUTS    data/sources.csv; params: clouds, encoders
# OUTPUTS   data/<place>                 the folder of an archive, or a file
#           data/hub/<model>.txt         the commit of a CLIP that is in the Hugging Face hub's cache
# STEPS     fetch_archive, fetch_file, fetch_clip (when another job needs them; `fetch`: all of the preset)


# The wildcards match missing places only: Snakemake would delete an existing one before it ran the rule.
rule fetch_archive:
    input:
        table=ROOT / "data/sources.csv",
    output:
        directory("{place}"),
    log:
        "logs/fetch/{place}.log",
    wildcard_constraints:
        place="|".join(re.escape(place) for place, row in MISSING.items() if row.is_archive)
        or "(?!)",
    localrule: True
    conda:
        "../../envs/report.yaml"
    params:
        name=lambda wildcards: FETCHED[wildcards.place].name,
        code=code("fetch"),
    message:
        "fetch and unpack {wildcards.place}"
    script:
        "../scripts/fetch.py"


rule fetch_file:
    input:
        table=ROOT / "data/sources.csv",
    output:
        "{place}",
    log:
        "logs/fetch/{place}.log",
    wildcard_constraints:
        place="|".join(re.escape(place) for place, row in MISSING.items() if not row.is_archive)
        or "(?!)",
    priority: 1  # a file that the user has to provide is reported before hours of other work
    localrule: True
    conda:
        "../../envs/report.yaml"
    params:
        name=lambda wildcards: FETCHED[wildcards.place].name,
        code=code("fetch"),
    message:
        "fetch {wildcards.place}"
    script:
        "../scripts/fetch.py"


rule fetch_clip:
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
        backend=lambda wildcards: HUB[wildcards.model],
        commit=lambda wildcards: REMOTES[wildcards.model].version,
        code=code("fetch_clip"),
    message:
        "fetch {wildcards.model}"
    script:
        "../scripts/fetch_clip.py"


rule fetch:
    input:
        source_files,
        [path for path in [point_checkpoint(), *train_split()] if path in FETCHED],
        expand(rules.fetch_clip.output, model=HUB),
