"""Table V, its measures and its plots."""

from pathlib import Path

from pointspider.study.job import job
from pointspider.core.files import read_csv
from pointspider.study.plots.search import plot_duplicates, plot_search
from pointspider.study.plots.style import save
from pointspider.study.tables.choice import choice_verdict
from pointspider.study.tables.schemas import read_table, write_provenance, write_table
from pointspider.study.tables.search import search_differences, search_measures, search_table

inputs, output = snakemake.input, snakemake.output
provenance = {**snakemake.params.provenance, "fit": choice_verdict(read_table(inputs.choice)).subject}
preset = provenance["preset"]

with job(snakemake.log[0]):
    records = read_csv(inputs.records)
    measures = search_measures(records, read_csv(inputs.duplicates))
    tables = {
        "table5": search_table(measures),
        "search": measures,
        "search_differences": search_differences(records),
    }
    for path in output.tables:
        write_table(path, tables[Path(path).stem])
    figures = {
        "search": plot_search(measures, preset),
        "duplicates": plot_duplicates(read_table(inputs.curves), preset),
    }
    for path in output.plots:
        save(figures[Path(path).stem], path)
    write_provenance(output.provenance, [*output.tables, inputs.curves], **provenance)
