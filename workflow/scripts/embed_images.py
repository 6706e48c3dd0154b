"""Embed the renders of the clouds that are aligned or evaluated, and the classes' prompts, with one CLIP."""

from itertools import groupby
from pathlib import Path

from pointspider.study.job import job
from pointspider.encoders.images.clip import load_clip
from pointspider.encoders.images.hub import model_directory
from pointspider.encoders.images.prompts import embed_prompts, prompt_styles
from pointspider.study.cloud_files import manifest_ids
from pointspider.study.embeddings import write_embeddings, write_projection, write_prompts
from pointspider.study.renders import SHARD, read_renders
from pointspider.training.device import resolve_precision

import numpy as np
from tqdm import tqdm

params, name = snakemake.params, snakemake.wildcards.clip
renders = Path(snakemake.input.renders[0]).parent
#: Renders that are also embedded in float32, if the precision is another.
COMPARED = 32

with job(snakemake.log[0]):
    # A hub name is no file: it comes as a parameter.
    weights, backend = [*snakemake.input.weights, params.clip["weights"]][0], params.clip["backend"]
    encoder = load_clip(name, backend, model_directory(weights, backend, params.revision))
    prompts = prompt_styles(params.classes, **params.zero_shot)
    embeddings = {style: embed_prompts(encoder.encode_prompts, asked) for style, asked in prompts.items()}
    write_prompts(snakemake.output.prompts, params.classes, prompts, embeddings, name, params.preset)
    projection = encoder.projection.cpu().numpy()
    write_projection(snakemake.output.projection, projection, name, params.preset)

    used = sorted(manifest_ids(snakemake.input.manifests))
    precision = params.precision
    if precision != "int8":
        precision = resolve_precision(precision, encoder.projection.device)
    cosine = 1.0
    if precision != "fp32":
        some = read_renders(renders, used[:: max(1, len(used) // COMPARED)])
        cosine = encoder.agreement(some, precision)
    facts = {"precision": precision, "cosine_to_fp32": cosine}

    def embed(class_name: str, ids: list[str]):
        parts = [
            encoder.encode_images(read_renders(renders, ids[i : i + SHARD]), precision=precision)
            for i in range(0, len(ids), SHARD)
        ]
        return class_name, ids, {layer: np.concatenate([part[layer] for part in parts]) for layer in parts[0]}

    classes = {name: list(ids) for name, ids in groupby(used, lambda cloud_id: cloud_id.split("/")[0])}
    bar = tqdm(classes, desc=f"embed renders with {name}", unit="class", disable=None)
    rows = (embed(class_name, classes[class_name]) for class_name in bar)
    write_embeddings(snakemake.output.images, rows, name, params.preset, **facts)
