"""Search and de-duplicate collections of clouds: `Index`, and the `Models` that it is built with."""

from pointspider.index.index import Index
from pointspider.index.models import Models
from pointspider.index.results import Text

__all__ = ["Index", "Models", "Text"]
