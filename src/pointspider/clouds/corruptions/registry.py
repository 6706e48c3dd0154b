"""The registered corruptions."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pointspider.clouds.names import CorruptionLevel
from pointspider.core.errors import InputError
from pointspider.core.registry import Registry


@dataclass(frozen=True)
class Corruption:
    """A corruption at several severities.

    To add one, write a module in this package that calls `CORRUPTIONS.add("<name>", Corruption(...))`.

    Attributes:
        benchmark: where it comes from, "modelnet40-c".
        source: where the definition and the constants are published.
        constants: its parameter at severities 1, 2, ...
        apply: `apply(clouds, streams, constant)` for clouds (B, 3, N) float32 and B random generators. It
            returns (B, 3, N) if it keeps every point, else `Traced`. With `needs_mesh`, `apply(mesh, stream,
            constant, points)` for one object; it returns (M, 3).
        normalizes: the final scaling, a name of `batches.SCALINGS`, or "" for none.
        pool: points that it needs, in multiples of the points of a clean cloud.
        needs_mesh: whether it samples the mesh instead of the points.
    """

    benchmark: str
    source: str
    constants: tuple[Any, ...]
    apply: Callable[..., Any]
    normalizes: str = ""
    pool: int = 1
    needs_mesh: bool = False

    @property
    def description(self) -> str:
        """The first line of the docstring of `apply`."""
        return (self.apply.__doc__ or "").partition("\n")[0]


#: {name: corruption}
CORRUPTIONS: Registry[Corruption] = Registry("pointspider.clouds.corruptions", "corruption")


def find_level(level: CorruptionLevel) -> tuple[Corruption, Any]:
    """Return the corruption of a level, and its constant.

    Raises:
        InputError: the corruption does not exist (the closest name is given), or does not have the severity.
    """
    corruption = CORRUPTIONS.find(level.corruption)
    if level.severity not in range(1, len(corruption.constants) + 1):
        raise InputError(
            f"{level.severity} is not a severity of '{level.corruption}'; choose from 1 to "
            f"{len(corruption.constants)}."
        )
    return corruption, corruption.constants[level.severity - 1]


def needing_mesh() -> list[str]:
    """Return the names of the corruptions that need a mesh."""
    return [name for name, corruption in CORRUPTIONS.items() if corruption.needs_mesh]
