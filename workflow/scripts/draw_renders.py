"""Draw a contact sheet of the first Double Roulette draw (the paper's Fig. 1)."""

from pathlib import Path

from pointspider.study.job import job
from pointspider.core.files import read_csv, write_png
from pointspider.study.evaluate.zero_shot import FIRST_DRAW
from pointspider.study.plots.sheets import contact_sheet
from pointspider.study.renders import read_renders

renders = Path(snakemake.input.renders[0]).parent

with job(snakemake.log[0]):
    manifest = read_csv(snakemake.input.manifest, ["cloud_id", "split"])
    ids = manifest.loc[manifest["split"] == FIRST_DRAW, "cloud_id"]
    images = read_renders(renders, ids)
    labels = [cloud_id.rpartition("/")[0].replace("/", "\n") for cloud_id in ids]
    write_png(snakemake.output[0], contact_sheet(images, labels, 8, snakemake.params.preset))
