"""Train one kind of mapper with every seed."""

import shutil
from pathlib import Path

from pointspider.study.job import job
from pointspider.core.files import read_csv, remove_empty_folders, write_json
from pointspider.mappers.settings import MapperSettings
from pointspider.mappers.training import load_initial, train_mapper
from pointspider.study.curves import write_curve
from pointspider.study.embeddings import read_split

inputs, params, output = snakemake.input, snakemake.params, snakemake.output
settings = MapperSettings(**params.settings)

with job(snakemake.log[0]):
    manifest = read_csv(inputs.manifest, ["cloud_id", params.column])
    embeddings = read_split(manifest, inputs.points, inputs.images, params.layer, params.column)
    norm = snakemake.wildcards.norm
    init = load_initial(params.init, norm) if params.init else None
    runs = []
    for index, seed in enumerate(params.seeds):
        checkpoint = Path(params.checkpoints) / f"seed_{seed}.safetensors"
        result = train_mapper(*embeddings, norm, settings, seed, checkpoint=checkpoint, init=init)
        result.last.save(output.last[index])
        result.best.save(output.best[index])
        write_curve(output.curves[index], result.train_loss, result.test_loss)
        runs.append(result.summary())
    write_json(output.runs, runs)
    shutil.rmtree(params.checkpoints)
    remove_empty_folders(Path(params.checkpoints).parent)  # unless another training has a checkpoint there
