"""List the objects of the source of clouds, and the role of each."""

from pointspider.study.job import job
from pointspider.core.files import write_csv
from pointspider.study.objects import list_objects

with job(snakemake.log[0]):
    write_csv(snakemake.output[0], list_objects(snakemake.params.clouds, snakemake.params.seed))
