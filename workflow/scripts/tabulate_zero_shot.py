"""Table II, its measures, every pair of models, the accuracy at each corruption level, and the plots."""

from pointspider.study.job import job
from pointspider.core.files import read_csv
from pointspider.encoders.images.prompts import STYLES
from pointspider.study.embeddings import read_precision
from pointspider.study.evaluate.zero_shot import (
    CLOUD,
    cloud_hits,
    compare_models,
    corruption_records,
    gather_hits,
    zero_shot_records,
)
from pointspider.study.plots.corruptions import plot_corruptions
from pointspider.study.plots.style import save
from pointspider.study.plots.zero_shot import plot_zero_shot
from pointspider.study.tables.schemas import write_provenance, write_table
from pointspider.study.tables.zero_shot import zero_shot_measures, zero_shot_table

import pandas as pd

inputs, params, output = snakemake.input, snakemake.params, snakemake.output
made = params.provenance

with job(snakemake.log[0]):
    clouds = pd.concat([read_csv(path, [*CLOUD, "split"]) for path in inputs.manifests])
    encoder, clips = (
        made["cloud_encoder"],
        [name for name in made["weights"] if name != made["cloud_encoder"]],
    )
    hits = gather_hits(clouds, clips, inputs.images, inputs.prompts, STYLES, params.top)
    if encoder:
        prompts = dict(zip(clips, inputs.prompts, strict=True))[made["cloud_clip"]]
        own = cloud_hits(clouds, encoder, inputs.points, prompts, STYLES, params.top)
        hits = pd.concat([hits, own], ignore_index=True)
    asked = hits[hits["prompts"] == made["prompts"]]
    measures = zero_shot_measures(zero_shot_records(hits), made["preset"], params.classes)
    tables = {
        output.table: zero_shot_table(measures, made["prompts"], made["weights"]),
        output.measures: measures,
        output.pairs: compare_models(asked),
        output.corruptions: corruption_records(asked),
    }
    save(plot_zero_shot(measures, made), output.accuracies_plot)
    save(plot_corruptions(tables[output.corruptions], "top1", made["preset"]), output.corruptions_plot)
    for path, table in tables.items():
        write_table(path, table)
    precision = dict(zip(clips, map(read_precision, inputs.images), strict=True))
    write_provenance(output.provenance, tables, **made, image_precision=precision)
