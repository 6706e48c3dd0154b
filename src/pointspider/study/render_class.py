"""Render the clouds of one class to files `<cloud id>.png`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pointspider.render.renderer import Renderer, write_renders


def render_class(
    renderer: Renderer,
    clouds: Mapping[str, tuple[Sequence[str], Sequence[np.ndarray]]],
    directory: str | Path,
) -> None:
    """Render every cloud of one class to `<directory>/<variant>/<object>.png`.

    Args:
        renderer: renders them.
        clouds: variant to (cloud ids "<class>/<variant>/<object>", their points, (n, N, 3)).
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
