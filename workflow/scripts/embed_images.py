"""Embed the renders of the clouds that are aligned or evaluated, and the classes' prompts, with one CLIP."""

from pathlib import Path

import numpy as np
from tqdm import tqdm

from pointspider.clouds.dataset import read_clouds
from pointspider.embeddings import write_embeddings
from pointspider.encoders.clip import load_clip
from pointspider.evaluate.zero_shot import build_prompts
from pointspider.job import job
from pointspider.storage import Group, read_csv, read_png, write_hdf5

params, name = snakemake.params, snakemake.wildcards.clip
renders = Path(snakemake.input.renders[0]).parent

with job(snakemake.log[0]):
    # A hub name is no file: it comes as a parameter.
    encoder = load_clip(name, params.clip["backend"], [*snakemake.input.weights, params.clip["weights"]][0])
    prompts = build_prompts(params.classes, params.zero_shot["prompt"], params.zero_shot["class_names"])
    arrays = {"class": params.classes, "prompt": prompts, "projected": encoder.encode_prompts(prompts)}
    attributes = {"model": name, "preset": params.preset}
    write_hdf5(snakemake.output.prompts, [("prompts", Group(arrays, attributes))])

    used = {
        identity
        for path in snakemake.input.manifests
        for identity in read_csv(path, ["cloud_id"])["cloud_id"]
    }
    pairs = list(zip(snakemake.input.clouds, snakemake.output.images, strict=True))
    for source, target in tqdm(pairs, desc=f"embed renders with {name}", unit="class", disable=None):
        variants = {variant: ids for variant, (ids, _) in read_clouds(source, used).items()}
        layers = (
            (variant, ids, encoder.encode_images(np.stack([read_png(renders / f"{i}.png") for i in ids])))
            for variant, ids in variants.items()
        )
        write_embeddings(target, layers, name, params.preset)
