# PointSpider: from nothing to Tables I-III.
#
#   snakemake --cores all                         the preset of params.yaml
#   snakemake --cores all --config preset=paper   the paper
#
# The graph: data -> render -> encoders -> embed -> map -> tables, one file of rules for each phase below
# workflow/rules/. Every phase has a target rule of its own (data, render, speed, encoders, embed, map, tables,
# select), which dvc.yaml calls.

from snakemake.utils import min_version

min_version("9.0")


configfile: "params.yaml"


include: "workflow/rules/common.smk"


report: "workflow/report/workflow.rst"


rule all:
    input:
        f"{RESULTS}/tables/summary.md",
        f"{RESULTS}/metrics.json",
        # A new clone holds tables that were made elsewhere. These it does not hold, so there all is made anew.
        expand(f"{RESULTS}/mappers/{{split}}/{{norm}}/runs.json", split=SPLITS, norm=NORMS),


include: "workflow/rules/fetch.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/render.smk"
include: "workflow/rules/encoders.smk"
include: "workflow/rules/embed.smk"
include: "workflow/rules/map.smk"
include: "workflow/rules/alignment.smk"
include: "workflow/rules/sheets.smk"
include: "workflow/rules/tables.smk"
