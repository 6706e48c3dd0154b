"""Search and de-duplicate collections of clouds: `Index`, and the `Models` that it is built with."""

from pointspider.index.index import Index, Text
from pointspider.index.models import Models

__all__ = ["Index", "Models", "Text"]
