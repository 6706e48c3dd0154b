"""Time the reference procedure and ours in every Mitsuba variant, with the machine to themselves."""

from dataclasses import fields

from pointspider.study.job import job
from pointspider.clouds.names import ORIGINAL
from pointspider.core.errors import InputError
from pointspider.core.files import read_csv, write_csv, write_json
from pointspider.render.backends import available_variants
from pointspider.study.cloud_files import gather_clouds
from pointspider.study.speed import Measurement, measure, tasks

import numpy as np
import pandas as pd

params, speed = snakemake.params, snakemake.params.speed

with job(snakemake.log[0]):
    manifest = read_csv(snakemake.input.manifest, ["cloud_id", "corruption"])
    ids = manifest.loc[manifest["corruption"] == ORIGINAL, "cloud_id"]
    if len(ids) <= speed["clouds"]:
        raise InputError(
            f"speed.clouds: {speed['clouds']} after the first, of {len(ids)} clean test clouds; lower it."
        )
    spread = np.linspace(0, len(ids) - 1, speed["clouds"] + 1).round().astype(int)
    reference = speed["reference"]
    rows, facts = measure(
        available_variants(),
        gather_clouds(snakemake.input.clouds, ids.iloc[spread]),
        tasks(params.resolution, reference["resolution"], reference["samples_per_pixel"], params.seed),
        snakemake.threads,
    )
    write_json(snakemake.output.variants, facts)
    columns = [field.name for field in fields(Measurement)]
    write_csv(snakemake.output.table, pd.DataFrame(rows, columns=columns))
