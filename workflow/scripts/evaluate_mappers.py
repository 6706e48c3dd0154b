"""Measure mappers, baselines and references on the test clouds of one split."""

from itertools import chain

from pointspider.study.job import job
from pointspider.clouds.names import MODELNET40_CLASSES
from pointspider.core.files import read_json, write_csv
from pointspider.encoders.points.registry import load_point_encoder
from pointspider.mappers.files import load_predictor
from pointspider.study.evaluate.alignment import Predict, evaluate
from pointspider.study.evaluate.candidates import classifier_of, fitted, references, trained
from pointspider.study.evaluate.inputs import read_sides, read_space

inputs, params, output = snakemake.input, snakemake.params, snakemake.output


def load(run: dict, epoch: str) -> Predict:
    name = f"{run['norm']}/seed_{run['seed']}_{epoch}.safetensors"
    return load_predictor(next(path for path in inputs.mappers if path.endswith(f"/{name}"))).predict


with job(snakemake.log[0]):
    train, test, corrupted = read_sides(
        [inputs.alignment, inputs.test], inputs.points, inputs.images, params.layer, params.column
    )
    space = read_space(train, inputs.prompts, inputs.projection, params.layer, params.style, params.top)
    encoder = load_point_encoder(params.point_encoder, params.point_model)
    # Published classifiers are trained on ModelNet40's classes
    known = space.classes if params.trained_here else list(MODELNET40_CLASSES)
    candidates = chain(
        references(space, classifier_of(encoder, known, space.classes), params.direct),
        fitted(space, inputs.fits),
        trained(space, chain.from_iterable(map(read_json, inputs.runs)), load),
    )
    records, levels = evaluate(candidates, test, corrupted, params.unit)
    write_csv(output.records, records.assign(n_train=len(train.images)))
    write_csv(output.levels, levels)
