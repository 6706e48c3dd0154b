"""Read renders, which are files `<cloud id>.png`."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from pointspider.core.errors import InputError
from pointspider.core.files import read_png


def read_renders(directory: str | Path, cloud_ids: Iterable[str]) -> UInt8[np.ndarray, "n H W 3"]:
    """Read the renders of `cloud_ids` below `directory`.

    Raises:
        InputError: one is missing or broken; the message names the directory of its class, which is rendered
            again once it is deleted.
    """
    directory = Path(directory)
    images = []
    for cloud_id in cloud_ids:
        try:
            images.append(read_png(directory / f"{cloud_id}.png"))
        except InputError as error:
            rendered = directory / cloud_id.split("/")[0]
            raise InputError(f"{error} Delete the directory {rendered} and run again.") from error
    return np.stack(images)
