"""Render a cloud, or every cloud in a directory, as the paper does."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pointspider.core.errors import InputError

if TYPE_CHECKING:
    import numpy as np

#: Default width and height in pixels by quality: the reference picture's, and the input of most CLIPs.
SIZES = {"reference": 800, "clip": 224}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("cloud", type=Path, help="file of a cloud, y up; or a directory")
    parser.add_argument("picture", type=Path, help="PNG file; or a directory, for the clouds of a directory")
    parser.add_argument(
        "--quality", choices=SIZES, default="reference", help="to look at (default), or as CLIP takes it"
    )
    parser.add_argument("--resolution", type=int, help="width and height in pixels (default: 800; clip: 224)")


def run(options: argparse.Namespace) -> None:
    """Render the clouds."""
    from pointspider.core.cpus import available_cpus
    from pointspider.render.backends import activate, choose
    from pointspider.render.renderer import Renderer, RenderSettings, write_renders

    files = _pictures(options.cloud, options.picture)
    settings = RenderSettings(options.resolution or SIZES[options.quality], options.quality)
    activate(choose(), available_cpus())
    write_renders(Renderer(settings), _load_clouds(files), len(files))


def _pictures(cloud: Path, picture: Path) -> dict[Path, Path]:
    """Return {file of a cloud: file of its picture} for one file, or for all files below a directory."""
    from pointspider.clouds.readers.registry import extensions

    if not cloud.is_dir():
        if picture.suffix.lower() != ".png":
            raise InputError(f"{picture}: pictures are PNG; name it {picture.with_suffix('.png')}.")
        return {cloud: picture}
    found = sorted(path for path in cloud.rglob("*") if path.suffix.lower() in extensions())
    if not found:
        raise InputError(f"{cloud}: has no clouds; they are {', '.join(extensions())}.")
    pictures = {path: picture / path.relative_to(cloud).with_suffix(".png") for path in found}
    if len(set(pictures.values())) < len(pictures):
        raise InputError(f"{cloud}: some clouds differ only in their extension; rename them.")
    return pictures


def _load_clouds(files: dict[Path, Path]) -> Iterator[tuple[str, "np.ndarray", Path]]:
    """Yield name, points and file of the picture; each cloud is read when it is needed."""
    from pointspider.clouds.sources.folder import load_object
    from pointspider.core.seeding import generator

    for path, picture in files.items():
        yield str(path), load_object(path, None, generator(0, path.name)).points, picture
