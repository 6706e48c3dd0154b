"""PointSpider: render, corrupt, embed and search point clouds, and align their embeddings with CLIP's.

Importing the package is instant: each name below imports its module, and the libraries behind it, when it is
first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pointspider.render.draw import draw

#: The public names, and the module of each.
_MODULES = {"draw": "pointspider.render.draw"}

__all__ = ["draw"]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'pointspider' has no attribute '{name}'")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
