"""Build every cloud of one class that a manifest names."""

from pointspider.study.job import job
from pointspider.clouds.sources.registry import open_source, parse_settings
from pointspider.core.files import read_csv, write_hdf5
from pointspider.study.build_clouds import build_clouds
from pointspider.study.manifests import COLUMNS, used_clouds

inputs, params, class_name = snakemake.input, snakemake.params, snakemake.wildcards.class_name

with job(snakemake.log[0]):
    source = open_source(parse_settings(params.clouds), params.seeds["objects"])
    used = params.used or used_clouds(read_csv(path, COLUMNS) for path in inputs.manifests)[class_name]
    write_hdf5(
        snakemake.output[0],
        build_clouds(source, class_name, used, params.clouds["points"], params.seeds["corruptions"]),
    )
