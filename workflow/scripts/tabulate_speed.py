"""Write Table I, its page and its plot."""

from pointspider.core.files import read_csv, write_csv, write_text
from pointspider.study.job import job
from pointspider.study.plots.speed import plot_speed
from pointspider.study.plots.style import save
from pointspider.study.tables.speed import speed_table
from pointspider.study.tables.summary import speed_page

params, output = snakemake.params, snakemake.output

with job(snakemake.log[0]):
    table = speed_table(read_csv(snakemake.input.records), params.preset, params.data, params.seed)
    save(plot_speed(table), output.plot)
    write_text(output.page, speed_page(table))
    write_csv(output.table, table)
