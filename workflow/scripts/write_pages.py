"""Write the pages of the report."""

from pathlib import Path

from pointspider.study.job import job
from pointspider.core.files import write_text
from pointspider.study.report.contents import PAGES, RUN_PAGES
from pointspider.study.report.pages import (
    benchmark_table,
    parameter_table,
    render_page,
    table_page,
    version_table,
)

params, directory = snakemake.params, Path(snakemake.output[0])

with job(snakemake.log[0]):
    for source, (path, page) in zip(snakemake.input, PAGES.items(), strict=True):
        write_text(directory / page.path(path), render_page(page, source))
    tables = {
        "parameters": parameter_table(params.parameters),
        "versions": version_table(Path(snakemake.scriptdir)),
        "benchmarks": benchmark_table(params.benchmarks),
    }
    for name, page in RUN_PAGES.items():
        write_text(directory / page.path(name), table_page(page, tables[name]))
