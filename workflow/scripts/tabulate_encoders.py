"""Table IV, its measures, its plot and its page."""

from pathlib import Path

from pointspider.study.job import job
from pointspider.core.files import read_csv, read_json, write_text
from pointspider.study.plots.encoders import plot_encoders
from pointspider.study.plots.style import save
from pointspider.study.tables.encoders import encoder_measures, encoder_table
from pointspider.study.tables.pages import encoders_page
from pointspider.study.tables.schemas import write_provenance, write_table

inputs, output, provenance = snakemake.input, snakemake.output, snakemake.params.provenance

with job(snakemake.log[0]):
    records = {Path(path).parent.name: read_csv(path) for path in inputs.records}
    facts = {Path(path).parent.name: read_json(path) for path in inputs.facts}
    measures = encoder_measures(records)
    table = encoder_table(measures, facts, provenance["norm"])
    write_table(output.table, table)
    write_table(output.measures, measures)
    write_provenance(output.provenance, [output.table, output.measures], **provenance)
    save(plot_encoders(table, provenance["preset"]), output.plot)
    write_text(output.page, encoders_page(table, facts, provenance))
