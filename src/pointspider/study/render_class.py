"""Render the clouds of one class to files `<cloud id>.png`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pointspider.render.renderer import RendersClouds, write_renders


def render_class(
    renderer: RendersClouds,
    clouds: Mapping[str, tuple[Sequence[str], Sequence[np.ndarray]]],
    directory: str | Path,
) -> None:
    """Render every cloud of one class to `<directory>/<level>/<object>.png`.

    Args:
        renderer: renders them.
        clouds: corruption level to (cloud ids "<class>/<level>/<object>", their points, (n, N, 3)).
        directory: that of the class.

    Raises:
        InputError: a cloud cannot be drawn; names it.
    """
    rows = [row for ids, points in clouds.values() for row in zip(ids, points, strict=True)]
    below = Path(directory)
    write_renders(
        renderer,
        [(cloud_id, points, below / f"{cloud_id.split('/', 1)[1]}.png") for cloud_id, points in rows],
        len(rows),
    )
