"""A contact sheet of the first Double Roulette draw (the paper's Fig. 1)."""

from pathlib import Path

from pointspider.evaluate.zero_shot import FIRST_DRAW
from pointspider.job import job
from pointspider.plots.sheets import contact_sheet
from pointspider.plots.style import save
from pointspider.render.files import read_renders
from pointspider.storage import read_csv

renders = Path(snakemake.input.renders[0]).parent

with job(snakemake.log[0]):
    manifest = read_csv(snakemake.input.manifest, ["cloud_id", "split"])
    ids = manifest.loc[manifest["split"] == FIRST_DRAW, "cloud_id"]
    images = read_renders(renders, ids)
    labels = [cloud_id.rpartition("/")[0].replace("/", "\n") for cloud_id in ids]
    save(contact_sheet(images, labels, 8, snakemake.params.preset), Path(snakemake.output[0]).with_suffix(""))
