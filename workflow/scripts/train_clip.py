"""Train a tiny CLIP on renders of the encoder objects."""

from pathlib import Path

from pointspider.study.job import job
from pointspider.core.files import read_csv, remove_empty_folders, write_csv
from pointspider.encoders.images.prompts import build_prompts
from pointspider.encoders.images.settings import TinyClipSettings
from pointspider.encoders.images.tiny_clip import save_clip, train_clip
from pointspider.study.renders import read_renders

import pandas as pd

params, output = snakemake.params, Path(snakemake.output[0])
renders = Path(snakemake.input.renders[0]).parent

with job(snakemake.log[0]):
    manifest = read_csv(snakemake.input.manifest, ["cloud_id", "class"])
    images = read_renders(renders, manifest["cloud_id"])
    labels = manifest["class"].map({name: index for index, name in enumerate(params.classes)}).to_numpy()
    prompts = build_prompts(params.classes, params.zero_shot["prompt"], params.zero_shot["class_names"])
    settings = TinyClipSettings(**params.clip)
    checkpoint = Path(params.checkpoint)
    model, history = train_clip(images, labels, prompts, settings, params.seed, checkpoint)
    save_clip(output, model, settings)
    write_csv(output / "history.csv", pd.DataFrame(history))
    checkpoint.unlink()
    remove_empty_folders(checkpoint.parent)  # unless another training has a checkpoint there
