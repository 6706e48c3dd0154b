"""Renders as files: `<class>/<variant>/<object>.png`, which is a cloud's id."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from pointspider.core.errors import InputError
from pointspider.core.files import read_png
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


def read_renders(directory: str | Path, cloud_ids: Iterable[str]) -> np.ndarray:
    """The renders of `cloud_ids` below `directory`, (n, H, W, 3) uint8.

    Raises:
        InputError: one is missing or broken; says which directory to delete, since a class is rendered whole.
    """
    directory = Path(directory)
    images = []
    for cloud_id in cloud_ids:
        try:
            images.append(read_png(directory / f"{cloud_id}.png"))
        except InputError as error:
            whole = directory / cloud_id.split("/")[0]
            raise InputError(f"{error} Delete the directory {whole} and run again.") from error
    return np.stack(images)
