"""Measure mappers, baselines and references on the test clouds of one split."""

from itertools import chain

import pandas as pd

from pointspider.clouds.names import MODELNET40_CLASSES
from pointspider.core.files import read_csv, read_json, write_csv
from pointspider.encoders.points.registry import load_point_encoder
from pointspider.mappers.files import load_predictor
from pointspider.study.embeddings import read_embeddings, read_projection, read_prompts
from pointspider.study.evaluate.alignment import Clouds, ImageSpace, Predict, evaluate
from pointspider.study.evaluate.candidates import classifier_of, fitted, references, trained
from pointspider.study.job import job

inputs, params, output = snakemake.input, snakemake.params, snakemake.output


def load(run: dict, epoch: str) -> Predict:
    name = f"{run['norm']}/seed_{run['seed']}_{epoch}.safetensors"
    return load_predictor(next(path for path in inputs.mappers if path.endswith(f"/{name}"))).predict


with job(snakemake.log[0]):
    columns = ["cloud_id", "class", "object", "corruption", "severity", params.column]
    manifests = [read_csv(path, columns) for path in (inputs.alignment, inputs.test)]
    ids = pd.concat(manifests)["cloud_id"].drop_duplicates()
    every = read_embeddings(inputs.points, "global", ids), read_embeddings(inputs.images, params.layer, ids)
    row = pd.Series(range(len(ids)), index=ids)
    aligned, corrupted = (
        Clouds(rows, *(values[row[rows["cloud_id"]]] for values in every)) for rows in manifests
    )
    train = aligned.where(aligned.manifest[params.column] == "train")
    test, corrupted = (part.where(part.manifest[params.column] == "test") for part in (aligned, corrupted))
    classes, prompts = read_prompts(inputs.prompts, params.style)
    projection = read_projection(inputs.projection) if params.layer == "pooled" else None
    space = ImageSpace.of(train.images, classes, prompts, projection, params.top)
    encoder = load_point_encoder(params.point_encoder, params.point_model)
    # Published classifiers are trained on ModelNet40's classes
    known = classes if params.trained_here else list(MODELNET40_CLASSES)
    candidates = chain(
        references(space, classifier_of(encoder, known, classes)),
        fitted(space, inputs.fits),
        trained(space, chain.from_iterable(map(read_json, inputs.runs)), load),
    )
    records, levels = evaluate(candidates, test, corrupted, params.unit)
    write_csv(output.records, records.assign(n_train=len(train.images)))
    write_csv(output.levels, levels)
