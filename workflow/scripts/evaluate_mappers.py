"""Measure mappers, baselines, and what names clouds without either, on one split's test clouds."""

from itertools import chain

from pointspider.clouds.names import MODELNET40_CLASSES
from pointspider.core.files import read_csv, read_json, write_csv
from pointspider.encoders.points.inference import class_logits
from pointspider.encoders.points.registry import load_point_encoder
from pointspider.mappers.fits import fit_baselines
from pointspider.mappers.network import load_predictor
from pointspider.mappers.training import Settings
from pointspider.study.embeddings import read_embeddings, read_projection, read_prompts
from pointspider.study.evaluate.alignment import Clouds, ImageSpace, Predict, evaluate
from pointspider.study.evaluate.candidates import fitted, linear_layers, references, trained
from pointspider.study.job import job

inputs, params, output = snakemake.input, snakemake.params, snakemake.output
settings = Settings(**{key: value for key, value in params.mapper.items() if key != "seeds"}, hidden=())


def read_clouds(manifest: str) -> Clouds:
    rows = read_csv(manifest, ["cloud_id", "class", "object", "corruption", "severity", params.column])
    ids = rows["cloud_id"].tolist()
    points = read_embeddings(inputs.points, "global", ids)
    return Clouds(rows, points, read_embeddings(inputs.images, params.layer, ids))


def load(run: dict, epoch: str) -> Predict:
    name = f"{run['norm']}/seed_{run['seed']}_{epoch}.safetensors"
    return load_predictor(next(path for path in inputs.mappers if path.endswith(f"/{name}"))).predict


with job(snakemake.log[0]):
    aligned, variants = read_clouds(inputs.alignment), read_clouds(inputs.test)
    train = aligned.where(aligned.manifest[params.column] == "train")
    test, variants = (part.where(part.manifest[params.column] == "test") for part in (aligned, variants))
    classes, prompts = read_prompts(inputs.prompts, params.style)
    projection = read_projection(inputs.projection) if params.layer == "pooled" else None
    space = ImageSpace.of(train.images, classes, prompts, projection, params.top)
    encoder = load_point_encoder(params.point_encoder, params.point_model)
    # A published classifier knows ModelNet40's classes alone.
    known = classes if params.trained_here else list(MODELNET40_CLASSES)
    groups = train.groups(params.unit)
    baselines = fit_baselines(train.points, train.images, groups, **params.baselines)
    candidates = chain(
        references(space, (lambda points: class_logits(encoder, points)) if known == classes else None),
        fitted(space, baselines, train),
        linear_layers(space, train, test, settings, params.mapper["seeds"]),
        trained(space, chain.from_iterable(map(read_json, inputs.runs)), load),
    )
    records, cells = evaluate(candidates, test, variants, params.unit)
    write_csv(output.records, records.assign(n_train=len(train.images)))
    write_csv(output.cells, cells)
