"""The page that reads the three tables."""

from pathlib import Path

from pointspider.core.files import read_csv, write_text
from pointspider.study.job import job
from pointspider.study.tables.summary import summary

PLOTS = {
    "Table I: rendering speed": "../plots/speed.png",
    "Table II: zero-shot accuracy": "../plots/zero_shot.png",
    "Table II: accuracy on each corruption": "../plots/corruptions.png",
    "Table III: mean L1": "../plots/alignment.png",
    "Table III: retrieval": "../plots/retrieval.png",
    "Table III: skill on each corruption": "../plots/alignment_corruptions.png",
    "Loss curves of the mappers": "../plots/loss_curves.png",
    "The first Double Roulette draw, rendered": "../plots/renders.png",
    "A clean cloud of every class": "../plots/classes.png",
    "One object in every variant": "../plots/variants.png",
}

with job(snakemake.log[0]):
    tables = {Path(path).stem: read_csv(path) for path in snakemake.input.tables}
    write_text(snakemake.output[0], summary(tables, PLOTS))
