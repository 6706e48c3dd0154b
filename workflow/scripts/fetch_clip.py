"""Fetch a CLIP to the Hugging Face hub's cache, long before it is needed."""

from pathlib import Path

from pointspider.study.job import job
from pointspider.encoders.images.hub import model_directory

with job(snakemake.log[0]):
    commit = snakemake.params.commit
    model_directory(snakemake.wildcards.model, snakemake.params.backend, commit)
    Path(snakemake.output[0]).write_text(f"{commit}\n", encoding="utf-8")
