"""Draw contact sheets of clouds: a clean one of every class, and one object at every corruption level."""

from pointspider.study.job import job
from pointspider.clouds.names import CLEAN, levels
from pointspider.clouds.sources.registry import open_source, parse_settings
from pointspider.core.files import read_csv, write_png
from pointspider.study.build_clouds import build_clouds
from pointspider.study.plots.sheets import cloud_sheet

import pandas as pd

params, output = snakemake.params, snakemake.output


def build(source, objects: pd.DataFrame, chosen: list) -> dict:
    """Return {cloud id: (N, 3)} of `objects`, one of a class, at each of the chosen levels."""
    clouds = {}
    for row in objects.to_dict("records"):
        used = [(row["object"], *level) for level in chosen]
        groups = build_clouds(
            source, row["class"], used, params.clouds["points"], params.seeds["corruptions"]
        )
        clouds |= {group.arrays["cloud_id"][0]: group.arrays["points"][0] for _, group in groups}
    return clouds


with job(snakemake.log[0]):
    source = open_source(parse_settings(params.clouds), params.seeds["objects"])
    objects = read_csv(snakemake.input.objects, ["class", "object", "role"])
    firsts = objects[objects["role"] == "evaluation"].groupby("class", as_index=False).first()
    clean = {name.split("/")[0]: cloud for name, cloud in build(source, firsts, [CLEAN]).items()}
    write_png(output.classes, cloud_sheet(clean, 8, params.preset))
    chosen = levels(params.clouds["corruptions"], params.clouds["severities"])
    shown = firsts[firsts["class"] == params.shown]
    corrupted = {name.split("/")[1]: cloud for name, cloud in build(source, shown, chosen).items()}
    sheet = {str(level): corrupted[str(level)] for level in chosen}
    write_png(output.corruptions, cloud_sheet(sheet, len(params.clouds["severities"]), params.preset))
