"""Train the point encoder on clean clouds of the encoder objects or of ModelNet40, and test it."""

from pathlib import Path

from pointspider.study.job import job
from pointspider.clouds.names import ORIGINAL
from pointspider.clouds.sources.modelnet40 import read_train_split
from pointspider.core.files import read_csv, remove_empty_folders, write_csv, write_json
from pointspider.encoders.points.inference import classify
from pointspider.encoders.points.registry import save_point_encoder
from pointspider.encoders.points.settings import PointSettings
from pointspider.encoders.points.training import train_point_encoder
from pointspider.study.cloud_files import gather_clouds

import numpy as np
import pandas as pd

inputs, params, output = snakemake.input, snakemake.params, snakemake.output


def clean_clouds(manifest):
    """Return the uncorrupted clouds (n, N, 3) of a manifest, and their class numbers (n,)."""
    rows = read_csv(manifest, ["cloud_id", "class", "corruption"])
    rows = rows[rows["corruption"] == ORIGINAL]
    labels = rows["class"].map({name: number for number, name in enumerate(params.classes)})
    return gather_clouds(inputs.clouds, rows["cloud_id"]), labels.to_numpy()


with job(snakemake.log[0]):
    if inputs.train_split:
        training = read_train_split(inputs.train_split[0], params.classes, params.points)
    else:
        training = clean_clouds(inputs.manifest)
    settings, checkpoint = PointSettings(**params.settings), Path(params.checkpoint)
    model, history = train_point_encoder(params.name, *training, settings, params.seed, checkpoint)
    points, labels = clean_clouds(inputs.test)
    hits = int(np.sum(classify(model, points) == labels))
    write_csv(output.history, pd.DataFrame(history))
    write_json(output.metrics, {"clean_test_accuracy": hits / len(labels), "n": len(labels)})
    save_point_encoder(output.weights, params.name, model)
    checkpoint.unlink()
    remove_empty_folders(checkpoint.parent)  # unless another training has a checkpoint there
