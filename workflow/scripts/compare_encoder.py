"""Fit one mapper and the baselines to one encoder, and measure them on the test clouds: rows of Table IV."""

from itertools import chain

from pointspider.study.job import job
from pointspider.clouds.names import MODELNET40_CLASSES
from pointspider.core.files import write_csv, write_json
from pointspider.encoders.points.registry import load_point_encoder
from pointspider.mappers.settings import MapperSettings
from pointspider.study.cloud_files import read_clouds
from pointspider.study.evaluate.alignment import OBJECT, evaluate
from pointspider.study.evaluate.candidates import classifier_of, references
from pointspider.study.evaluate.encoders import encoder_facts, fit_candidates, train_candidates
from pointspider.study.evaluate.inputs import read_sides, read_space

inputs, params, output = snakemake.input, snakemake.params, snakemake.output

with job(snakemake.log[0]):
    train, test, levels = read_sides(
        [inputs.alignment, inputs.test], inputs.points, inputs.images, params.layer, "split"
    )
    space = read_space(train, inputs.prompts, inputs.projection, params.layer, params.style, params.top)
    encoder = load_point_encoder(params.name, inputs.point_encoder)
    # Published classifiers are trained on ModelNet40's classes
    known = space.classes if params.trained_here else list(MODELNET40_CLASSES)
    settings = MapperSettings(**params.settings)
    candidates = chain(
        references(space, classifier_of(encoder, known, space.classes)),
        fit_candidates(space, train, **params.baselines),
        train_candidates(space, train, test, params.norm, settings, params.seeds),
    )
    records, _ = evaluate(candidates, test, levels, OBJECT)
    write_csv(output.records, records.assign(n_train=len(train.images)))
    clouds = next(iter(read_clouds(inputs.clouds).values()))[1]
    write_json(output.facts, encoder_facts(encoder, clouds))
