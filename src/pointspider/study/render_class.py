"""Render the clouds of one class to files; `pointspider.study.renders` reads them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pointspider.render.renderer import RendersClouds, write_renders
from pointspider.study.renders import LAYOUTS


def render_class(
    renderer: RendersClouds,
    clouds: Mapping[str, tuple[Sequence[str], Sequence[np.ndarray]]],
    directory: str | Path,
    layout: str = "png",
) -> None:
    """Render every cloud of one class.

    Args:
        renderer: renders them.
        clouds: corruption level to (cloud ids "<class>/<level>/<object>", their points, (n, N, 3)).
        directory: that of the class.
        layout: of `pointspider.study.renders.LAYOUTS`.

    Raises:
        InputError: a cloud cannot be drawn; names it.
    """
    rows = [row for ids, points in clouds.values() for row in zip(ids, points, strict=True)]
    with LAYOUTS[layout](Path(directory)) as write:
        write_renders(renderer, rows, len(rows), write)
