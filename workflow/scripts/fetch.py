"""Fetch what data/sources.csv names, verify and unpack it."""

from pathlib import Path

from pointspider.study.job import job
from pointspider.study.fetch import provide
from pointspider.study.remote import read_remotes

with job(snakemake.log[0]):
    provide(read_remotes(snakemake.input.table)[snakemake.params.name], Path())
