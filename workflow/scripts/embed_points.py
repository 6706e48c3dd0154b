"""Embed every cloud that is aligned or evaluated with the point encoder."""

from tqdm import tqdm

from pointspider.encoders.points.inference import embed_clouds
from pointspider.encoders.points.registry import load_point_encoder
from pointspider.study.cloud_files import manifest_ids, read_clouds
from pointspider.study.embeddings import write_embeddings
from pointspider.study.job import job

params = snakemake.params

with job(snakemake.log[0]):
    model = load_point_encoder(params.name, snakemake.input.model)
    used = manifest_ids(snakemake.input.manifests)
    pairs = list(zip(snakemake.input.clouds, snakemake.output, strict=True))
    for source, target in tqdm(pairs, desc="embed clouds", unit="class", disable=None):
        clouds = read_clouds(source, used)
        layers = (
            (name, ids, {"global": embed_clouds(model, points)}) for name, (ids, points) in clouds.items()
        )
        write_embeddings(target, layers, params.name, params.preset)
