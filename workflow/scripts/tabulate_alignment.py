"""Table III, its measures, the measures at each corruption level, and the plots."""

from pathlib import Path

from pointspider.study.job import job
from pointspider.core.files import read_csv
from pointspider.mappers.base import LABELS
from pointspider.study.curves import read_curves
from pointspider.study.plots.alignment import plot_alignment, plot_loss_curves, plot_retrieval
from pointspider.study.plots.corruptions import plot_corruptions
from pointspider.study.plots.style import save
from pointspider.study.tables.alignment import (
    alignment_measures,
    alignment_table,
    corruption_rows,
    gains,
    predictor_facts,
    split_sizes,
)
from pointspider.study.tables.pages import alignment_of
from pointspider.study.tables.schemas import write_provenance, write_table

import pandas as pd

inputs, output, provenance = snakemake.input, snakemake.output, snakemake.params.provenance
preset = provenance["preset"]


def both_splits(paths: list[str]) -> pd.DataFrame:
    return pd.concat([read_csv(path).assign(split=Path(path).parent.name) for path in paths])


with job(snakemake.log[0]):
    records = both_splits(inputs.records)
    measures, facts = alignment_measures(records), predictor_facts(records)
    tables = {
        "table3": alignment_table(measures, facts, preset),
        "alignment": measures,
        "gains": gains(records),
        "predictors": facts,
        "splits": split_sizes(records),
        "alignment_corruptions": corruption_rows(both_splits(inputs.levels)),
    }
    alignment, levels = alignment_of(tables), tables["alignment_corruptions"]
    levels = levels[(levels["split"] == "objects") & levels["predictor"].isin(["ridge", *LABELS.values()])]
    figures = {
        "alignment": plot_alignment(alignment, records, preset),
        "retrieval": plot_retrieval(alignment, preset),
        "alignment_corruptions": plot_corruptions(levels, "skill", preset),
        "loss_curves": plot_loss_curves(read_curves(inputs.curves), alignment, preset),
    }
    for path in output.plots:
        save(figures[Path(path).stem], path)
    for path in output.tables:
        write_table(path, tables[Path(path).stem])
    write_provenance(output.provenance, output.tables, **provenance)
