"""Measure the search for test clouds by each path: renders, point features and mapped clouds."""

import logging
import pathlib

from pointspider.study.job import job
from pointspider.core.files import read_csv, write_csv
from pointspider.mappers.base import LABELS
from pointspider.mappers.files import load_predictor
from pointspider.study.embeddings import read_embeddings
from pointspider.study.evaluate.search import Path, duplicate_records, search_records
from pointspider.study.search_predictor import load_chosen
from pointspider.study.tables.schemas import write_table

import numpy as np

inputs, params, output = snakemake.input, snakemake.params, snakemake.output

with job(snakemake.log[0]):
    manifest = read_csv(inputs.test, ["cloud_id", "class", "object", "corruption", "severity"])
    ids = manifest["cloud_id"].tolist()
    points = read_embeddings(inputs.points, "global", ids)
    paths = {
        Path("renders", params.image_model): read_embeddings(inputs.images, params.layer, ids),
        Path("points", params.point_encoder): points,
    }
    folder = pathlib.Path(inputs.fits).parent
    predictors = [load_chosen(inputs.choice, folder, params.seed)]
    for norm in params.norms:
        last = load_predictor(folder / norm / f"seed_{params.seed}_last.safetensors")
        predictors.append((LABELS[norm], last.predict))
    for name, predict in predictors:
        mapped = predict(points)
        if np.isfinite(mapped).all():
            paths[Path("mapped", name)] = mapped
        else:
            logging.warning("the training of %s diverged; it is not searched with", name)
    duplicates, curves = duplicate_records(manifest, paths)
    write_csv(output.records, search_records(manifest, paths))
    write_csv(output.duplicates, duplicates)
    write_table(output.curves, curves)
