"""Table I and its plot."""

from pathlib import Path

from pointspider.core.files import read_csv, write_csv
from pointspider.study.job import job
from pointspider.study.plots.speed import plot_speed
from pointspider.study.plots.style import save
from pointspider.study.tables.speed import speed_table

params, output = snakemake.params, snakemake.output

with job(snakemake.log[0]):
    table = speed_table(read_csv(snakemake.input.records), params.preset, params.data, params.seed)
    save(plot_speed(table), Path(output.plot[0]).with_suffix(""))
    write_csv(output.table, table)
