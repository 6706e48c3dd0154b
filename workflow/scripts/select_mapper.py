"""The metrics of the mapper that mapper.norm selects."""

from pointspider.core.files import read_csv, write_json
from pointspider.study.job import job
from pointspider.study.tables.summary import selected_metrics

with job(snakemake.log[0]):
    tables = [read_csv(path) for path in (snakemake.input.zero_shot, snakemake.input.alignment)]
    write_json(snakemake.output[0], selected_metrics(*tables, snakemake.params.norm))
