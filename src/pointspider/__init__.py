"""PointSpider: render, corrupt, embed and search point clouds, and align their embeddings with CLIP's.

Importing the package is instant: each name below imports its module, and the libraries behind it, when it is
first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pointspider.clouds.corruptions.engine import corrupt
    from pointspider.clouds.readers.registry import load_cloud
    from pointspider.encoders.images.clip import load_clip
    from pointspider.encoders.points.registry import load_point_encoder
    from pointspider.index.index import Index
    from pointspider.index.models import Models
    from pointspider.index.results import Text
    from pointspider.mappers.files import load_predictor
    from pointspider.render.draw import draw

#: The public names, and the module of each.
_MODULES = {
    "Index": "pointspider.index.index",
    "Models": "pointspider.index.models",
    "Text": "pointspider.index.results",
    "corrupt": "pointspider.clouds.corruptions.engine",
    "draw": "pointspider.render.draw",
    "load_clip": "pointspider.encoders.images.clip",
    "load_cloud": "pointspider.clouds.readers.registry",
    "load_point_encoder": "pointspider.encoders.points.registry",
    "load_predictor": "pointspider.mappers.files",
}

__all__ = [
    "Index",
    "Models",
    "Text",
    "corrupt",
    "draw",
    "load_clip",
    "load_cloud",
    "load_point_encoder",
    "load_predictor",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'pointspider' has no attribute '{name}'")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
