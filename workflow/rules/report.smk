# Pages of Snakemake's report: `make report`.
#
# INPUTS    tables/, plots/, sheets/, speed/, metrics.json; Snakemake's benchmark files
# OUTPUTS   report/<category>/<page>.html    a page per table, plot and sheet; parameters, versions, benchmarks
# STEPS     write_pages
#
# Not a phase of dvc.yaml: the pages show a run and are no result of it.

from pointspider.study.report.contents import ENTRIES, PAGES


rule write_pages:
    input:
        [f"{RESULTS}/{path}" for path in PAGES],
    output:
        report(
            directory(f"{RESULTS}/report"),
            patterns=["{category}/{page}.html"],
            category="{category}",
            labels=lambda wildcards: {
                "page": ENTRIES[f"{wildcards.category}/{wildcards.page}"].title
            },
            caption="../report/page.rst",
        ),
    log:
        f"{LOGS}/write_pages.log",
    conda:
        "../../envs/report.yaml"
    params:
        parameters=PARAMS.model_dump(),
        benchmarks=BENCHMARKS,
        captions={name: page.caption for name, page in ENTRIES.items()},
        code=code("write_pages"),
    message:
        "write the pages of the report"
    script:
        "../scripts/write_pages.py"


rule pages:
    input:
        rules.write_pages.output,
