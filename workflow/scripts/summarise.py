"""The page that reads the three tables."""

from pointspider.job import job
from pointspider.storage import read_csv, write_text
from pointspider.tables.summary import summary

PLOTS = {
    "Table I: rendering speed": "../plots/speed.png",
    "Table II: zero-shot accuracy": "../plots/zero_shot.png",
    "Table III: mean L1": "../plots/alignment.png",
    "Loss curves of the mappers": "../plots/loss_curves.png",
    "The first Double Roulette draw, rendered": "../plots/renders.png",
    "A clean cloud of every class": "../plots/classes.png",
    "One object in every variant": "../plots/variants.png",
}
tables = snakemake.input.speed, snakemake.input.zero_shot, snakemake.input.alignment

with job(snakemake.log[0]):
    write_text(snakemake.output[0], summary(*map(read_csv, tables), PLOTS))
