"""Fit the baselines of one split."""

from pointspider.study.job import job
from pointspider.core.files import read_csv
from pointspider.mappers.baselines import fit_predictors
from pointspider.mappers.settings import MapperSettings
from pointspider.study.embeddings import read_split

inputs, params = snakemake.input, snakemake.params

with job(snakemake.log[0]):
    manifest = read_csv(inputs.manifest, ["cloud_id", *params.unit, params.column])
    embeddings = read_split(manifest, inputs.points, inputs.images, params.layer, params.column)
    train = manifest[manifest[params.column] == "train"]
    groups = train.groupby(params.unit, sort=False).ngroup().to_numpy()
    settings = MapperSettings(**params.settings)
    fit_predictors(
        snakemake.output[0], *embeddings, groups, **params.baselines, settings=settings, seeds=params.seeds
    )
