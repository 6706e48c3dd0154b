"""Table III, its plot and the loss curves."""

from pathlib import Path

import pandas as pd

from pointspider.embeddings import read_embeddings
from pointspider.evaluate.alignment import alignment_records
from pointspider.job import job
from pointspider.mapper import LABELS
from pointspider.plots import plot_alignment, plot_loss_curves, save
from pointspider.storage import read_csv, read_json, write_csv
from pointspider.tables import alignment_table

params, output, target = snakemake.params, snakemake.output, snakemake.params.image_embedding


def read_curve(directory: Path) -> pd.DataFrame:
    """One training's losses as dvclive left them: mapper, seed, epoch, train, test."""
    train, test = (
        read_csv(directory / f"plots/metrics/{name}_l1.tsv", ["step"], separator="\t")
        for name in ("train", "test")
    )
    norm, seed = directory.parent.name, directory.name.removeprefix("seed_")
    return pd.DataFrame(
        {
            "mapper": LABELS[norm],
            "seed": int(seed),
            "epoch": train["step"] + 1,
            "train": train["train_l1"],
            "test": test["test_l1"],
        }
    )


with job(snakemake.log[0]):
    manifest = read_csv(snakemake.input.manifest, ["cloud_id", "split"])
    embeddings = []
    for split in ("train", "test"):
        ids = manifest.loc[manifest["split"] == split, "cloud_id"].tolist()
        embeddings += [
            read_embeddings(snakemake.input.points, "global", ids),
            read_embeddings(snakemake.input.images, target["layer"], ids),
        ]
    runs = [run for path in snakemake.input.mappers for run in read_json(Path(path) / "runs.json")]
    records = alignment_records(runs, *embeddings, target["model"], target["layer"], params.points["name"])
    table = alignment_table(
        records, params.preset, params.data, params.points["weights"], params.image_weights
    )
    curves = pd.concat(
        [read_curve(path) for norm in snakemake.input.curves for path in sorted(Path(norm).glob("seed_*"))]
    )
    save(plot_alignment(table, records), Path(output.plot[0]).with_suffix(""))
    save(plot_loss_curves(curves, table), Path(output.curves[0]).with_suffix(""))
    write_csv(output.table, table)
