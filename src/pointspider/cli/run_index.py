"""The models, embeddings and clouds of a finished run, for `pointspider index --from-run`."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from pointspider.core.errors import InputError
from pointspider.core.files import read_hdf5
from pointspider.encoders.images.hub import model_directory
from pointspider.index.clouds import describe
from pointspider.index.models import Models
from pointspider.study.cloud_files import read_clouds
from pointspider.study.config import load
from pointspider.study.config.models import Params
from pointspider.study.remote import read_remotes
from pointspider.study.search_predictor import chosen_predictor, predictor_path


def load_params(options: argparse.Namespace, preset: str) -> Params:
    """Return the parameters of a preset."""
    paths = [options.project / "params.yaml", *([options.configfile] if options.configfile else [])]
    return load(paths, {"preset": preset})


def models_of_run(
    project: Path, params: Params, predictor: str | None = None, device: str = "auto"
) -> Models:
    """Describe the point encoder, a predictor and the CLIP of a run.

    Args:
        project: directory of the checkout.
        params: of the run.
        predictor: none, layer or response (the trained mappers, first seed), or the name of a fit; None: the
            one that the run chose by cross-validation.
        device: see `Models`.

    Raises:
        InputError: the run is not finished, the predictor does not exist, or its training diverged.
    """
    results = project / "results" / params.preset
    if not _embeddings(results, params).exists():
        raise InputError(f"{results}: has no embeddings; run `snakemake --cores all` first.")
    remotes = read_remotes(project / "data/sources.csv")
    points = params.encoders.points
    checkpoint = results / "encoders/points" / points.name / "model.safetensors"
    if points.checkpoint != "train":
        remote = remotes.get(points.checkpoint)
        checkpoint = project / (remote.place if remote else points.checkpoint)
    target = params.alignment.image_embedding
    clip = params.encoders.images[target.model]
    if clip.weights == "train":
        directory = results / "encoders/images" / target.model
    else:
        version = remotes[clip.weights].version if clip.weights in remotes else None
        directory = model_directory(clip.weights, clip.backend, version)
    return Models.of(
        points.name,
        checkpoint,
        points=params.clouds.points,
        predictor=predictor_path(
            results / "mappers/objects",
            predictor or chosen_predictor(results / "mappers/choice.csv"),
            params.mapper.seeds[0],
        ),
        clip=directory,
        backend=clip.backend,
        layer=target.layer,
        prompt=params.zero_shot.prompt,
        device=device,
    )


def rows_of_run(
    project: Path, params: Params, models: Models
) -> Iterator[tuple[Float[np.ndarray, "n D"], list[dict[str, Any]]]]:
    """Yield the embeddings of the clouds of a run and their items, one class at a time."""
    results = project / "results" / params.preset
    for class_name, group in read_hdf5(_embeddings(results, params)).items():
        clouds = results / "clouds" / f"{class_name}.h5"
        points = {
            str(name): cloud
            for names, rows in read_clouds(clouds).values()
            for name, cloud in zip(names, rows, strict=True)
        }
        names = map(str, group.arrays["cloud_id"])
        items = [{**_fields(name), "path": clouds.absolute(), **describe(points[name])} for name in names]
        yield models.predict(group.arrays["global"]), items


def _embeddings(results: Path, params: Params) -> Path:
    """The file of the point encoder's embeddings."""
    return results / "embeddings/points" / f"{params.encoders.points.name}.h5"


def _fields(cloud_id: str) -> dict[str, str]:
    """Fields of a cloud from its name, `<class>/<level>/<object>`."""
    class_name, level, object_name = cloud_id.split("/")
    corruption, _, severity = level.rpartition("_")
    return {
        "id": cloud_id,
        "member": cloud_id,
        "class": class_name,
        "object": object_name,
        "corruption": corruption or level,
        "severity": severity if corruption else "0",
    }
