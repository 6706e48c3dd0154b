"""List the objects of the source of clouds, and what each is for."""

from pointspider.clouds.sources import open_source
from pointspider.job import job
from pointspider.storage import write_csv

with job(snakemake.log[0]):
    source = open_source(snakemake.params.clouds, snakemake.params.seed)
    write_csv(snakemake.output[0], source.objects())
