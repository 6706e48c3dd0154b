"""Fit the baselines of one split."""

from pointspider.core.files import read_csv
from pointspider.mappers.settings import MapperSettings
from pointspider.study.embeddings import read_embeddings
from pointspider.study.evaluate.alignment import Clouds
from pointspider.study.evaluate.candidates import fit_predictors
from pointspider.study.job import job

inputs, params = snakemake.input, snakemake.params

with job(snakemake.log[0]):
    rows = read_csv(inputs.manifest, ["cloud_id", "class", "object", params.column])
    ids = rows["cloud_id"].tolist()
    points = read_embeddings(inputs.points, "global", ids)
    clouds = Clouds(rows, points, read_embeddings(inputs.images, params.layer, ids))
    train, test = (clouds.where(rows[params.column].to_numpy() == side) for side in ("train", "test"))
    settings = MapperSettings(**params.settings)
    fit_predictors(snakemake.output[0], train, test, params.unit, params.baselines, settings, params.seeds)
