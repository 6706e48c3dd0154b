"""Table II and its plot."""

from pathlib import Path

import pandas as pd

from pointspider.clouds.catalogue import ORIGINAL
from pointspider.embeddings import read_embeddings
from pointspider.evaluate.zero_shot import zero_shot_records
from pointspider.job import job
from pointspider.plots.style import save
from pointspider.plots.zero_shot import plot_zero_shot
from pointspider.storage import read_csv, read_hdf5, write_csv
from pointspider.tables.zero_shot import zero_shot_table

params, output = snakemake.params, snakemake.output

with job(snakemake.log[0]):
    manifest = pd.concat(
        [read_csv(path, ["cloud_id", "class", "corruption", "split"]) for path in snakemake.input.manifests]
    )
    manifest = manifest[(manifest["split"] != "test") | (manifest["corruption"] == ORIGINAL)]
    manifest["split"] = manifest["split"].replace("test", "clean")
    records = []
    for name, path in zip(params.weights, snakemake.input.prompts, strict=True):
        prompts = read_hdf5(path)["prompts"].arrays
        files = [file for file in snakemake.input.images if Path(file).parent.name == name]
        images = read_embeddings(files, "projected", manifest["cloud_id"].tolist())
        records.append(
            zero_shot_records(
                name,
                images,
                manifest["class"].tolist(),
                manifest["split"].tolist(),
                prompts["projected"],
                prompts["class"].tolist(),
                params.top,
            )
        )
    records = pd.concat(records, ignore_index=True)
    table = zero_shot_table(
        records, params.preset, params.data, params.weights, params.seed, classes=manifest["class"].nunique()
    )
    save(plot_zero_shot(table, records), Path(output.plot[0]).with_suffix(""))
    write_csv(output.table, table)
