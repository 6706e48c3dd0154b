"""Train the point encoder on the encoder objects' clean clouds; test it on the clean test clouds."""

import numpy as np
import pandas as pd

from pointspider.clouds.catalogue import ORIGINAL
from pointspider.clouds.files import gather_clouds
from pointspider.encoders.pointnet import PointNetSettings, classify, save_pointnet, train_pointnet
from pointspider.job import job
from pointspider.storage import read_csv, write_csv, write_json

params, output = snakemake.params, snakemake.output
number = {name: index for index, name in enumerate(params.classes)}

with job(snakemake.log[0]):
    sets = []
    for path in (snakemake.input.manifest, snakemake.input.test):
        manifest = read_csv(path, ["cloud_id", "class", "corruption"])
        manifest = manifest[manifest["corruption"] == ORIGINAL]
        sets += [
            gather_clouds(snakemake.input.clouds, manifest["cloud_id"]),
            manifest["class"].map(number).to_numpy(),
        ]
    points, labels, test_points, test_labels = sets
    model, history = train_pointnet(points, labels, PointNetSettings(**params.encoder), params.seed)
    hits = int(np.sum(classify(model, test_points) == test_labels))
    write_csv(output.history, pd.DataFrame(history))
    write_json(output.metrics, {"clean_test_accuracy": hits / len(test_labels), "n": len(test_labels)})
    save_pointnet(output.weights, model)
