"""The page of Tables II and III."""

from pathlib import Path

from pointspider.study.job import job
from pointspider.core.files import read_json, write_text
from pointspider.study.tables.pages import summary_page
from pointspider.study.tables.schemas import read_table

with job(snakemake.log[0]):
    tables = {Path(path).stem: read_table(path) for path in snakemake.input.tables}
    provenance = {Path(path).stem: read_json(path) for path in snakemake.input.provenance}
    write_text(snakemake.output[0], summary_page(tables, provenance))
