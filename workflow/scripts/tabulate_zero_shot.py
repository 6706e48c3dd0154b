"""Table II, its extension, every pair of models, and the plot."""

import pandas as pd

from pointspider.core.files import read_csv, write_csv
from pointspider.encoders.images.prompts import STYLES
from pointspider.study.evaluate.zero_shot import CLOUD, compare_models, gather_hits, zero_shot_records
from pointspider.study.job import job
from pointspider.study.plots.style import save
from pointspider.study.plots.zero_shot import plot_zero_shot
from pointspider.study.tables.zero_shot import extended_table, pairs_table, zero_shot_table

inputs, params, output = snakemake.input, snakemake.params, snakemake.output
facts = {"preset": params.preset, "data": params.data}

with job(snakemake.log[0]):
    clouds = pd.concat([read_csv(path, [*CLOUD, "split"]) for path in inputs.manifests])
    hits = gather_hits(clouds, params.weights, inputs.images, inputs.prompts, STYLES, params.top)
    pairs = compare_models(hits[hits["style"] == params.style])
    made = {**facts, "weights": params.weights, "seed": params.seed, "classes": params.classes}
    records = zero_shot_records(hits)
    table = zero_shot_table(records, params.style, **made)
    save(plot_zero_shot(table, records), output.plot)
    write_csv(output.pairs, pairs_table(pairs, params.style, **facts))
    write_csv(output.extended, extended_table(records, **made))
    write_csv(output.table, table)
