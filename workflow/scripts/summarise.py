"""Write the summary of Tables II and III."""

from pathlib import Path

from pointspider.core.files import read_csv, write_text
from pointspider.study.job import job
from pointspider.study.tables.summary import summary

PLOTS = {
    "Table II: zero-shot accuracy": "../plots/zero_shot.svg",
    "Table II: accuracy on each corruption": "../plots/corruptions.svg",
    "Table III: mean L1": "../plots/alignment.svg",
    "Table III: retrieval": "../plots/retrieval.svg",
    "Table III: skill on each corruption": "../plots/alignment_corruptions.svg",
    "Loss curves of the mappers": "../plots/loss_curves.svg",
    "The first Double Roulette draw, rendered": "../sheets/renders.png",
    "A clean cloud of every class": "../sheets/classes.png",
    "One object at every corruption level": "../sheets/corruptions.png",
}

with job(snakemake.log[0]):
    tables = {Path(path).stem: read_csv(path) for path in snakemake.input.tables}
    write_text(snakemake.output[0], summary(tables, PLOTS))
