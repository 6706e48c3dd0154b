"""Point encoders with random weights."""

from collections.abc import Callable

import pytest
import torch

from pointspider.encoders.points.module import PointClassifier, PointEncoderModule
from pointspider.encoders.points.registry import POINT_ENCODERS


@pytest.fixture(scope="session")
def random_encoder() -> Callable[[str], PointEncoderModule]:
    """Return an encoder in eval mode, with 5 classes, whose normalisations are not trivial."""

    def create(name: str, classes: int = 5) -> PointEncoderModule:
        encoder_class = POINT_ENCODERS[name]
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = encoder_class(classes) if issubclass(encoder_class, PointClassifier) else encoder_class()
            for module in model.modules():
                if isinstance(module, torch.nn.BatchNorm1d):
                    module.running_mean.normal_(std=0.3)
                    module.running_var.uniform_(0.5, 1.5)
                    torch.nn.init.normal_(module.weight, 1, 0.3)
                    torch.nn.init.normal_(module.bias, 0, 0.3)
        return model.eval()

    return create


@pytest.fixture(scope="session")
def random_clouds() -> Callable[..., torch.Tensor]:
    """Return clouds in the unit ball, with colours after 3 channels."""

    def create(clouds: int, points: int, channels: int = 3, seed: int = 0) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        positions = torch.randn(clouds, points, 3, generator=generator)
        positions = positions / positions.norm(dim=2, keepdim=True).clamp(min=1)
        return torch.cat([positions, torch.rand(clouds, points, channels - 3, generator=generator)], dim=2)

    return create
