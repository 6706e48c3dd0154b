"""The procedural source: parametric shapes that need no download."""

from pointspider.clouds.sources.procedural.source import ProceduralSource

__all__ = ["ProceduralSource"]
