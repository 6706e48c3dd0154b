"""Draw the clouds to align, to evaluate and to train on."""

from pointspider.clouds.names import levels
from pointspider.core.files import read_csv, write_csv
from pointspider.study.job import job
from pointspider.study.manifests import alignment, double_roulette, encoder_clouds, test_clouds

params, seeds = snakemake.params, snakemake.params.seeds

with job(snakemake.log[0]):
    objects = read_csv(snakemake.input.objects, ["class", "object", "role"])
    corrupted = levels(params.corruptions, params.severities)
    aligned = alignment(objects, corrupted, **params.alignment, seeds=seeds)
    write_csv(snakemake.output.alignment, aligned)
    write_csv(snakemake.output.test, test_clouds(aligned, corrupted, params.test, seeds["test"]))
    write_csv(
        snakemake.output.roulette, double_roulette(objects, corrupted, params.repeats, seeds["roulette"])
    )
    write_csv(
        snakemake.output.encoders,
        encoder_clouds(objects, corrupted, params.encoder_variants, seeds["encoders"]),
    )
