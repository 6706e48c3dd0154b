"""Find out which Mitsuba variants render on this machine, and choose the one to use."""

from dataclasses import asdict

from pointspider.core.files import write_json
from pointspider.render.backends import choose, probe
from pointspider.study.job import job

with job(snakemake.log[0]):
    variants = probe()
    chosen = choose(variants, snakemake.params.variant)
    write_json(
        snakemake.output[0],
        {"chosen": asdict(chosen), "probed": [asdict(variant) for variant in variants]},
    )
