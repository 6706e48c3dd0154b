"""Embed every cloud that is aligned or evaluated with the point encoder."""

from pathlib import Path

from pointspider.study.job import job
from pointspider.encoders.points.inference import embed_clouds
from pointspider.encoders.points.registry import load_point_encoder
from pointspider.study.cloud_files import manifest_ids, read_clouds
from pointspider.study.embeddings import write_embeddings

import numpy as np
from tqdm import tqdm

params = snakemake.params

with job(snakemake.log[0]):
    model = load_point_encoder(params.name, snakemake.input.model)
    used = manifest_ids(snakemake.input.manifests)

    def embed(path: str):
        levels = read_clouds(path, used).values()
        rows = [embed_clouds(model, points) for _, points in levels]  # N depends on the level
        return Path(path).stem, np.concatenate([ids for ids, _ in levels]), {"global": np.concatenate(rows)}

    classes = tqdm(snakemake.input.clouds, desc="embed clouds", unit="class", disable=None)
    write_embeddings(snakemake.output[0], map(embed, classes), params.name, params.preset)
