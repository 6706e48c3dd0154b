"""The clouds of a finished run, for `search` and `duplicates`."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from pointspider.core.errors import InputError
from pointspider.core.files import read_hdf5, read_json
from pointspider.encoders.base import PointEncoder
from pointspider.encoders.points.inference import embed_clouds
from pointspider.encoders.points.registry import load_point_encoder
from pointspider.mappers.base import Predictor
from pointspider.mappers.files import load_predictor
from pointspider.study.config import load
from pointspider.study.remote import read_remotes


def load_params(options: argparse.Namespace) -> dict[str, Any]:
    """Return the parameters of the project, with those of `--configfile`."""
    paths = [options.project / "params.yaml", *([options.configfile] if options.configfile else [])]
    return load(paths).model_dump()


@dataclass(frozen=True)
class Collection:
    """The clouds of a finished run, in the image space of the selected mapper.

    Attributes:
        cloud_ids: names.
        mapped: predicted image embeddings.
        encoder: the point encoder.
        mapper: the mapper.
    """

    cloud_ids: list[str]
    mapped: Float[np.ndarray, "n D"]
    encoder: PointEncoder
    mapper: Predictor

    def embed(self, points: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, "1 D"]:
        """Predict the image embedding of a cloud."""
        return self.mapper.predict(embed_clouds(self.encoder, points[None]))


def open_collection(project: Path, params: dict[str, Any]) -> Collection:
    """Load the embeddings of the clouds, the point encoder and the mapper of `mapper.norm` (first seed).

    Args:
        project: directory of the checkout.
        params: resolved parameters.

    Raises:
        InputError: the run is not finished, its mapper diverged, or a file is damaged.
    """
    results = project / "results" / params["preset"]
    points = params["encoders"]["points"]
    checkpoint = results / "encoders" / points["name"] / "model.safetensors"
    if points["checkpoint"] != "train":
        remote = read_remotes(project / "data/sources.csv").get(points["checkpoint"])
        checkpoint = project / (remote.place if remote else points["checkpoint"])
    seed = params["mapper"]["seeds"][0]
    paths = sorted((results / "embeddings/points").glob("*.h5"))
    if not paths:
        raise InputError(f"{results}: has no embeddings; run `snakemake --cores all` first.")
    mappers = results / "mappers/objects" / params["mapper"]["norm"]
    run: dict[str, Any] = next((run for run in read_json(mappers / "runs.json") if run["seed"] == seed), {})
    if epoch := run.get("diverged_at"):  # its weights may well be finite
        raise InputError(
            f"{mappers}: the mapper of seed {seed} diverged at epoch {epoch}; choose another mapper.norm or "
            "lower mapper.learning_rate."
        )
    groups = [group.arrays for path in paths for group in read_hdf5(path).values()]
    mapper = load_predictor(mappers / f"seed_{seed}_last.safetensors")
    return Collection(
        cloud_ids=[identity for arrays in groups for identity in arrays["cloud_id"]],
        mapped=mapper.predict(np.concatenate([arrays["global"] for arrays in groups])),
        encoder=load_point_encoder(points["name"], checkpoint),
        mapper=mapper,
    )
