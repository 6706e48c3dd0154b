"""Train one kind of mapper with every seed. dvclive logs the loss curves."""

import shutil
from pathlib import Path

from dvclive import Live

from pointspider.core.files import add_checksum, read_csv, remove_empty_folders, write_json
from pointspider.mappers.settings import MapperSettings
from pointspider.mappers.training import load_initial, train_mapper
from pointspider.study.embeddings import read_split
from pointspider.study.job import job


class Curves(Live):
    """Loss curves as files, without a look at the repository: a run needs neither git nor a commit."""

    def _init_dvc(self) -> None:
        pass


inputs, params, output = snakemake.input, snakemake.params, snakemake.output
settings = MapperSettings(**params.settings)

with job(snakemake.log[0]):
    manifest = read_csv(inputs.manifest, ["cloud_id", params.column])
    embeddings = read_split(manifest, inputs.points, inputs.images, params.layer, params.column)
    norm = snakemake.wildcards.norm
    init = load_initial(params.init, norm) if params.init else None
    runs = []
    for index, seed in enumerate(params.seeds):
        with Curves(str(Path(output.curves) / f"seed_{seed}"), save_dvc_exp=False, dvcyaml=None) as live:

            def log(epoch: int, metrics: dict[str, float], live: Curves = live) -> None:
                for name, value in metrics.items():
                    live.log_metric(name, value)
                live.next_step()

            checkpoint = Path(params.checkpoints) / f"seed_{seed}.safetensors"
            result = train_mapper(
                *embeddings, norm, settings, seed, on_epoch=log, checkpoint=checkpoint, init=init
            )
        result.last.save(output.last[index])
        result.best.save(output.best[index])
        runs.append(result.summary())
    for path in Path(output.curves).rglob("*.tsv"):
        add_checksum(path)
    write_json(output.runs, runs)
    shutil.rmtree(params.checkpoints)
    remove_empty_folders(Path(params.checkpoints).parent)  # unless another training has a checkpoint there
