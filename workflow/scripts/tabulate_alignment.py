"""Table III, its plot and the loss curves."""

from pathlib import Path

from pointspider.embeddings import read_split
from pointspider.evaluate.alignment import alignment_records, read_curves
from pointspider.job import job
from pointspider.plots.alignment import plot_alignment, plot_loss_curves
from pointspider.plots.style import save
from pointspider.storage import read_csv, read_json, write_csv
from pointspider.tables.alignment import alignment_table

inputs, params, output = snakemake.input, snakemake.params, snakemake.output
target, encoder = params.image_embedding, params.points

with job(snakemake.log[0]):
    manifest = read_csv(inputs.manifest, ["cloud_id", "split"])
    embeddings = read_split(manifest, inputs.points, inputs.images, target["layer"])
    runs = [run for path in inputs.runs for run in read_json(path)]
    records = alignment_records(runs, *embeddings, target["model"], target["layer"], encoder["name"])
    table = alignment_table(records, params.preset, params.data, encoder["weights"], params.image_weights)
    save(plot_alignment(table, records), Path(output.plot[0]).with_suffix(""))
    save(plot_loss_curves(read_curves(inputs.curves), table), Path(output.curves[0]).with_suffix(""))
    write_csv(output.table, table)
