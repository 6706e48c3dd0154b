"""Build every cloud of one class that a manifest names."""

import pandas as pd

from pointspider.clouds.sources.registry import open_source, parse_settings
from pointspider.core.files import read_csv, write_hdf5
from pointspider.study.build_clouds import build_clouds
from pointspider.study.job import job

params = snakemake.params

with job(snakemake.log[0]):
    source = open_source(parse_settings(params.clouds), params.seeds["objects"])
    manifest = pd.concat([read_csv(path, ["class", "object"]) for path in snakemake.input.manifests])
    clouds = build_clouds(
        source, snakemake.wildcards.class_name, manifest, params.clouds["points"], params.seeds["corruptions"]
    )
    write_hdf5(snakemake.output[0], clouds)
