"""Time the steps from a test cloud, or from its render, to its embedding, with the machine to themselves."""

from pathlib import Path

from pointspider.study.job import job
from pointspider.core.files import read_csv
from pointspider.encoders.images.clip import load_clip
from pointspider.encoders.images.hub import model_directory
from pointspider.encoders.points.inference import embed_clouds
from pointspider.encoders.points.registry import load_point_encoder
from pointspider.study.cloud_files import gather_clouds
from pointspider.study.renders import read_renders
from pointspider.study.search_predictor import load_chosen
from pointspider.study.search_speed import choose_clouds, time_steps
from pointspider.study.tables.schemas import write_table

import pandas as pd

inputs, params = snakemake.input, snakemake.params

with job(snakemake.log[0]):
    clouds = choose_clouds(read_csv(inputs.test, ["cloud_id", "severity"]), params.clouds)
    weights, backend = [*inputs.weights, params.clip["weights"]][0], params.clip["backend"]
    clip = load_clip(params.image_model, backend, model_directory(weights, backend, params.revision))
    encoder = load_point_encoder(params.point_encoder, inputs.point_encoder)
    _, predict = load_chosen(inputs.choice, Path(inputs.fits).parent, params.seed)
    images = read_renders(Path(inputs.renders[0]).parent, clouds["cloud_id"])
    points = gather_clouds(inputs.clouds, clouds["cloud_id"])
    steps = {
        "image_embedding": (clip.encode_images, images),
        "point_embedding": (lambda rows: embed_clouds(encoder, rows), points),
        "prediction": (predict, embed_clouds(encoder, points)),
    }
    write_table(snakemake.output[0], pd.DataFrame(time_steps(steps, clouds)))
