"""The metrics of the mapper that mapper.norm selects."""

from pathlib import Path

from pointspider.study.job import job
from pointspider.core.files import write_json
from pointspider.study.tables.pages import selected_metrics
from pointspider.study.tables.schemas import read_table

params = snakemake.params

with job(snakemake.log[0]):
    tables = {Path(path).stem: read_table(path) for path in snakemake.input.tables}
    init = params.init.replace("{norm}", params.norm) if params.init else None
    metrics = selected_metrics(tables, params.norm, params.prompts) | {"mapper_init": init}
    write_json(snakemake.output[0], metrics)
