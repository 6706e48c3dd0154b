"""List the objects of the source of clouds, and what each is for."""

from pointspider.clouds.sources.registry import open_source
from pointspider.core.files import write_csv
from pointspider.study.job import job

with job(snakemake.log[0]):
    source = open_source(snakemake.params.clouds, snakemake.params.seed)
    write_csv(snakemake.output[0], source.objects())
