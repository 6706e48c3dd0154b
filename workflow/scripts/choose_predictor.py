"""Cross-validate the predictors that search may use, on the training clouds."""

from pointspider.study.job import job
from pointspider.core.files import read_csv
from pointspider.mappers.settings import MapperSettings
from pointspider.study.embeddings import read_embeddings
from pointspider.study.evaluate.alignment import OBJECT, Clouds
from pointspider.study.evaluate.choice import cross_validate
from pointspider.study.tables.schemas import write_table

inputs, params = snakemake.input, snakemake.params

with job(snakemake.log[0]):
    manifest = read_csv(inputs.manifest, ["cloud_id", *OBJECT, "corruption", "severity", "split"])
    train = manifest[manifest["split"] == "train"]
    ids = train["cloud_id"].tolist()
    points = read_embeddings(inputs.points, "global", ids)
    clouds = Clouds(train, points, read_embeddings(inputs.images, params.layer, ids))
    settings = MapperSettings(**params.settings)
    scores = cross_validate(
        clouds, **params.validation, settings=settings, seed=params.seed, init=params.init
    )
    write_table(snakemake.output[0], scores)
