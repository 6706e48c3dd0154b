"""Models that need no weights, and folders of clouds."""

from pathlib import Path

import numpy as np
import pytest

from pointspider.core.vectors import unit_rows
from pointspider.index.models import Description, ModelFile, Models


class MomentModels(Models):
    """Embeds a cloud by moments of its points; counts the clouds."""

    width = 16

    def __init__(self, checksum: str = "a" * 64, clip: str | None = None, layer: str | None = None):
        encoder = ModelFile("moments", "/none", checksum)
        space = ModelFile(clip, "/none", "c" * 64) if clip else None
        super().__init__(Description(encoder, 64, None, space, "open_clip", layer))
        self.embedded = 0

    def embed_clouds(self, clouds):
        self.embedded += len(clouds)
        rng = np.random.default_rng(0)
        features = np.tanh(clouds @ rng.normal(size=(3, 16)) * 3 + rng.normal(size=16)).mean(axis=1)
        return unit_rows(features, "moments")


@pytest.fixture
def models() -> MomentModels:
    return MomentModels()


@pytest.fixture
def make_models():
    return MomentModels


@pytest.fixture
def write_clouds(tmp_path):
    """Write random clouds of classes of boxes: `write(folder, {class: number})`."""

    def write(folder: str, classes: dict[str, int], seed: int = 0) -> Path:
        rng = np.random.default_rng(seed)
        for number, (name, count) in enumerate(classes.items()):
            (tmp_path / folder / name).mkdir(parents=True, exist_ok=True)
            sides = 1 + np.roll([0, 1, 4], number)
            for index in range(count):
                points = rng.uniform(-1, 1, size=(80, 3)) * sides * rng.uniform(0.8, 1.2, size=3)
                np.save(tmp_path / folder / name / f"{index:03d}.npy", points.astype(np.float32))
        return tmp_path / folder

    return write
