"""Train one kind of mapper with every seed; dvclive keeps the loss curves."""

import shutil
from pathlib import Path

from dvclive import Live

from pointspider.core.files import read_csv, remove_empty_folders, write_json
from pointspider.mappers.network import save_mapper
from pointspider.mappers.training import Settings, train_mapper
from pointspider.study.embeddings import read_split
from pointspider.study.job import job

inputs, params, output = snakemake.input, snakemake.params, snakemake.output
settings = Settings(**{key: value for key, value in params.mapper.items() if key != "seeds"})

with job(snakemake.log[0]):
    manifest = read_csv(inputs.manifest, ["cloud_id", params.column])
    embeddings = read_split(manifest, inputs.points, inputs.images, params.layer, params.column)
    runs = []
    for index, seed in enumerate(params.mapper["seeds"]):
        with Live(str(Path(output.curves) / f"seed_{seed}"), save_dvc_exp=False, dvcyaml=None) as live:

            def log(epoch: int, train_loss: float, test_loss: float, live: Live = live) -> None:
                live.log_metric("train_l1", train_loss)
                live.log_metric("test_l1", test_loss)
                live.next_step()

            checkpoint = Path(params.checkpoints) / f"seed_{seed}.safetensors"
            result = train_mapper(
                *embeddings, snakemake.wildcards.norm, settings, seed, on_epoch=log, checkpoint=checkpoint
            )
        save_mapper(output.last[index], result.last)
        save_mapper(output.best[index], result.best)
        runs.append(result.summary())
    write_json(output.runs, runs)
    shutil.rmtree(params.checkpoints)
    remove_empty_folders(Path(params.checkpoints).parent)  # other trainings' may be there
