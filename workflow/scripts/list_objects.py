"""List the objects of the source of clouds, and the role of each."""

from pointspider.clouds.sources.registry import open_source, parse_settings
from pointspider.core.files import write_csv
from pointspider.study.job import job
from pointspider.study.manifests import assign_roles

params = snakemake.params

with job(snakemake.log[0]):
    source = open_source(parse_settings(params.clouds), params.seed)
    evaluation, encoders = params.clouds["evaluation_objects"], params.clouds["encoder_objects"]
    write_csv(snakemake.output[0], assign_roles(source.objects(), evaluation, encoders, params.seed))
