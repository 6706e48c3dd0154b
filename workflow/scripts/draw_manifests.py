"""Draw the clouds to align, to evaluate and to train on."""

from pointspider.study.job import job
from pointspider.core.files import read_csv, write_csv
from pointspider.study.manifests import draw_manifests

with job(snakemake.log[0]):
    objects = read_csv(snakemake.input.objects, ["class", "object", "role"])
    for name, manifest in draw_manifests(objects, **snakemake.params.draws).items():
        write_csv(snakemake.output[name], manifest)
