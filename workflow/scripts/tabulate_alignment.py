"""Table III, its extension, the figures of single corruptions, and the plots."""

from pathlib import Path

import pandas as pd

from pointspider.core.files import read_csv, write_csv
from pointspider.mappers.base import LABELS
from pointspider.study.evaluate.alignment import read_curves
from pointspider.study.job import job
from pointspider.study.plots.alignment import plot_alignment, plot_loss_curves, plot_retrieval
from pointspider.study.plots.corruptions import plot_corruptions
from pointspider.study.plots.style import save
from pointspider.study.tables.alignment import alignment_table, corruption_rows, extended_table

inputs, output, provenance = snakemake.input, snakemake.output, snakemake.params.provenance


def both_splits(paths: list[str]) -> pd.DataFrame:
    return pd.concat([read_csv(path).assign(split=Path(path).parent.name) for path in paths])


with job(snakemake.log[0]):
    records, cells = both_splits(inputs.records), both_splits(inputs.cells)
    table, extended = alignment_table(records, **provenance), extended_table(records, **provenance)
    corruptions = corruption_rows(cells)
    shown = corruptions[
        corruptions["model"].isin(["ridge", *LABELS.values()]) & (corruptions["task"] == "alignment")
    ]
    figures = {
        "alignment": plot_alignment(table, records),
        "retrieval": plot_retrieval(extended),
        "alignment_corruptions": plot_corruptions(shown, "skill", provenance["preset"]),
        "loss_curves": plot_loss_curves(read_curves(inputs.curves), table),
    }
    for path in output.plots:
        save(figures[Path(path).stem], path)
    write_csv(output.corruptions, corruptions)
    write_csv(output.extended, extended)
    write_csv(output.table, table)
