"""Build every cloud of some classes that a manifest names."""

from pointspider.study.job import job
from pointspider.clouds.sources.registry import open_source, parse_settings
from pointspider.core.files import read_csv, write_hdf5
from pointspider.study.build_clouds import build_clouds
from pointspider.study.manifests import COLUMNS, used_clouds

from tqdm import tqdm

inputs, params = snakemake.input, snakemake.params

with job(snakemake.log[0]):
    source = open_source(parse_settings(params.clouds), params.seeds["objects"])
    used = params.used or used_clouds(read_csv(path, COLUMNS) for path in inputs.manifests)
    files = list(zip(params.classes, snakemake.output, strict=True))
    for name, path in tqdm(files, desc="build clouds", unit="class", disable=None):
        clouds = build_clouds(source, name, used[name], params.clouds["points"], params.seeds["corruptions"])
        write_hdf5(path, clouds)
