"""Train a tiny CLIP on renders of the encoder objects."""

from pathlib import Path

import numpy as np
import pandas as pd

from pointspider.encoders.tiny_clip import ClipSettings, save_clip, train_clip
from pointspider.evaluate.zero_shot import build_prompts
from pointspider.job import job
from pointspider.storage import read_csv, read_png, write_csv

params, output = snakemake.params, Path(snakemake.output[0])
renders = Path(snakemake.input.renders[0]).parent

with job(snakemake.log[0]):
    manifest = read_csv(snakemake.input.manifest, ["cloud_id", "class"])
    images = np.stack([read_png(renders / f"{cloud_id}.png") for cloud_id in manifest["cloud_id"]])
    labels = manifest["class"].map({name: index for index, name in enumerate(params.classes)}).to_numpy()
    prompts = build_prompts(params.classes, params.zero_shot["prompt"], params.zero_shot["class_names"])
    settings = ClipSettings(**params.clip)
    model, history = train_clip(images, labels, prompts, settings, params.seed)
    save_clip(output, model, settings)
    write_csv(output / "history.csv", pd.DataFrame(history))
