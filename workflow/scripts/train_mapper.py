"""Train one kind of mapper with every seed; dvclive keeps the loss curves."""

from pathlib import Path

from dvclive import Live

from pointspider.embeddings import read_embeddings
from pointspider.job import job
from pointspider.mapper.model import save_mapper
from pointspider.mapper.training import Settings, train_mapper
from pointspider.storage import read_csv, write_json

params, norm = snakemake.params, snakemake.wildcards.norm
mappers, curves = Path(snakemake.output.mappers), Path(snakemake.output.curves)
settings = {key: value for key, value in params.mapper.items() if key != "seeds"}

with job(snakemake.log[0]):
    manifest = read_csv(snakemake.input.manifest, ["cloud_id", "split"])
    embeddings = []
    for split in ("train", "test"):
        ids = manifest.loc[manifest["split"] == split, "cloud_id"].tolist()
        embeddings += [
            read_embeddings(snakemake.input.points, "global", ids),
            read_embeddings(snakemake.input.images, params.layer, ids),
        ]
    runs = []
    for seed in params.mapper["seeds"]:
        with Live(str(curves / f"seed_{seed}"), save_dvc_exp=False, dvcyaml=None) as live:

            def log(epoch: int, train_loss: float, test_loss: float, live: Live = live) -> None:
                live.log_metric("train_l1", train_loss)
                live.log_metric("test_l1", test_loss)
                live.next_step()

            result = train_mapper(*embeddings, norm, Settings(**settings), seed, on_epoch=log)
        save_mapper(mappers / f"seed_{seed}_last.safetensors", result.last)
        save_mapper(mappers / f"seed_{seed}_best.safetensors", result.best)
        runs.append(result.summary())
    write_json(mappers / "runs.json", runs)
