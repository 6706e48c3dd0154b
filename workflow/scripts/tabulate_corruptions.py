"""Every measure on the test clouds of each variant, of Tables II and III, and a heat map of the first."""

import pandas as pd

from pointspider.core.files import read_csv, write_csv
from pointspider.study.evaluate.zero_shot import CLOUD, corruption_records, gather_hits
from pointspider.study.job import job
from pointspider.study.plots.corruptions import plot_corruptions
from pointspider.study.plots.style import save

inputs, params, output = snakemake.input, snakemake.params, snakemake.output

with job(snakemake.log[0]):
    clouds = read_csv(inputs.manifest, [*CLOUD, "split"])
    hits = gather_hits(clouds, params.models, inputs.images, inputs.prompts, [params.style], params.top)
    zero_shot = corruption_records(hits)
    save(plot_corruptions(zero_shot, "top1", params.preset), output.plot)
    table = pd.concat([zero_shot, read_csv(inputs.alignment)])
    table.insert(0, "preset", params.preset)
    table.insert(1, "data", params.data)
    write_csv(output.table, table)
