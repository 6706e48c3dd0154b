"""Make every cloud of one class that a manifest names."""

import pandas as pd

from pointspider.clouds.dataset import build_clouds
from pointspider.clouds.sources import open_source
from pointspider.job import job
from pointspider.storage import read_csv, write_hdf5

params = snakemake.params

with job(snakemake.log[0]):
    source = open_source(params.clouds, params.seeds["objects"])
    manifest = pd.concat([read_csv(path, ["class", "object"]) for path in snakemake.input.manifests])
    clouds = build_clouds(
        source, snakemake.wildcards.class_name, manifest, params.clouds["points"], params.seeds["corruptions"]
    )
    write_hdf5(snakemake.output[0], clouds)
