"""Table I, its measures, its page and its plot."""

from pointspider.study.job import job
from pointspider.core.files import read_json, write_text
from pointspider.study.plots.speed import plot_speed
from pointspider.study.plots.style import save
from pointspider.study.tables.pages import speed_page
from pointspider.study.tables.schemas import read_table, write_provenance, write_table
from pointspider.study.tables.speed import speed_measures, speed_table

inputs, output, provenance = snakemake.input, snakemake.output, snakemake.params.provenance

with job(snakemake.log[0]):
    variants, preset = read_json(inputs.variants), provenance["preset"]
    measures = speed_measures(read_table(inputs.records), preset)
    table, facts = speed_table(measures, variants, preset), {**provenance, "variants": variants}
    save(plot_speed(table, measures, facts), output.plot)
    write_table(output.table, table)
    write_table(output.measures, measures)
    write_provenance(output.provenance, [output.table, output.measures], **facts)
    write_text(output.page, speed_page(table, measures, facts))
