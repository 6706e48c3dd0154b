"""Small models with random weights, and an index in the pooled space of a small CLIP."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest


@pytest.fixture(scope="session")
def small_models(tmp_path_factory) -> SimpleNamespace:
    """Files of a PointNet, of predictors to both layers of a CLIP, and of that CLIP."""
    import open_clip
    import torch

    from pointspider.encoders.images.settings import TinyClipSettings
    from pointspider.encoders.images.tiny_clip import architecture, save_clip
    from pointspider.encoders.points.registry import create_point_encoder, save_point_encoder
    from pointspider.mappers.affine import Affine

    folder = tmp_path_factory.mktemp("models")
    settings = TinyClipSettings(
        patch=8, width=32, layers=1, text_width=32, text_layers=1, projection=16, epochs=1,
        learning_rate=1e-3, weight_decay=0.1,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = create_point_encoder("pointnet_vanilla", 2).eval()
        clip = open_clip.CLIP(**architecture(16, settings))
    save_point_encoder(folder / "encoder.safetensors", "pointnet_vanilla", encoder)
    clip.visual.preprocess_cfg = {
        "mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "shortest"
    }  # fmt: skip
    save_clip(folder / "tiny", clip, settings)
    rng = np.random.default_rng(0)
    for layer, width in (("pooled", 32), ("projected", 16)):
        weight = rng.normal(size=(encoder.width, width)).astype(np.float32)
        Affine(weight, np.zeros(width, np.float32)).save(folder / f"{layer}.safetensors")
    return SimpleNamespace(
        encoder=folder / "encoder.safetensors",
        clip=folder / "tiny",
        pooled=folder / "pooled.safetensors",
        projected=folder / "projected.safetensors",
    )


@pytest.fixture(scope="session")
def chairs_and_tables(tmp_path_factory) -> Path:
    """A folder `clouds` with 12 clouds of each of two classes, and a second copy of one of them."""
    folder = tmp_path_factory.mktemp("data") / "clouds"
    rng = np.random.default_rng(0)
    for name, sides in (("chair", (1, 2, 1)), ("table", (3, 1, 2))):
        (folder / name).mkdir(parents=True)
        for number in range(12):
            points = rng.uniform(-1, 1, size=(60, 3)) * sides * rng.uniform(0.8, 1.2, size=3)
            np.save(folder / name / f"{number:02d}.npy", points.astype(np.float32))
    first = np.load(folder / "chair/00.npy")
    np.save(folder / "chair/copy.npy", rng.permutation(first) * np.float32(2))
    return folder


@pytest.fixture(scope="session")
def index_path(tmp_path_factory, small_models, chairs_and_tables) -> Path:
    """An index of `chairs_and_tables` in the pooled space; not to be changed."""
    from pointspider.index import Index, Models

    path = tmp_path_factory.mktemp("index") / "index"
    models = Models.of(
        "pointnet_vanilla", small_models.encoder, points=60, predictor=small_models.pooled,
        clip=small_models.clip, layer="pooled",
    )  # fmt: skip
    Index.build(path, [chairs_and_tables], models)
    return path
