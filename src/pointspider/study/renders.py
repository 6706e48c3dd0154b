"""Read renders, which are files `<cloud id>.png`."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from pointspider.core.errors import InputError
from pointspider.core.files import read_png


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
