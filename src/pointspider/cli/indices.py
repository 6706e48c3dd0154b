"""Arguments that choose an index and its models, and sheets of its clouds; for several commands."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from pointspider.index.index import Index
    from pointspider.index.store import Item

#: Width and height of a picture on a sheet, in pixels.
PICTURE = 160


def add_index(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments that `open_index` reads."""
    parser.add_argument(
        "-i", "--index", type=Path, default=Path("index"), help="directory of the index (default: index)"
    )
    parser.add_argument("--checkpoint", type=Path, help="new place of the point encoder, if it was moved")
    parser.add_argument("--predictor", type=Path, help="new place of the predictor")
    parser.add_argument("--clip", type=Path, help="new place of the CLIP")
    parser.add_argument("--device", default="auto", help="auto (default), cpu or cuda")


def open_index(options: argparse.Namespace) -> "Index":
    """Open the index with the models at their new places."""
    from pointspider.index.index import Index
    from pointspider.index.models import Description, Models

    index = Index.open(options.index)
    description = dict(index.store.models)
    for part, path in (
        ("encoder", options.checkpoint),
        ("predictor", options.predictor),
        ("clip", options.clip),
    ):
        if path and description[part]:
            description[part] = {**description[part], "path": str(path.absolute())}
    index.models = Models(Description.from_json(description), options.device)
    return index


def load_item(item: "Item") -> "np.ndarray":
    """Read the points of an indexed cloud, from its file or from the clouds of a run."""
    from pointspider.index.clouds import load_points
    from pointspider.study.cloud_files import read_clouds

    if "/" not in item["member"]:
        return load_points(item["path"], item["member"])
    ((_, points),) = read_clouds(item["path"], {item["member"]}).values()
    cloud: np.ndarray = points[0]
    return cloud


def draw_points(points: "np.ndarray") -> "np.ndarray":
    """Draw a cloud for a sheet."""
    from pointspider.render.draw import draw

    return draw(points, quality="clip", resolution=PICTURE)


def draw_picture(path: str | Path) -> "np.ndarray":
    """Read a picture for a sheet."""
    import numpy as np
    from PIL import Image

    from pointspider.index.models import read_picture

    picture = Image.fromarray(read_picture(path)).resize((PICTURE, PICTURE)).convert("RGBA")
    return np.asarray(picture)


def blank() -> "np.ndarray":
    """A white picture, for words and for empty places."""
    import numpy as np

    return np.full((PICTURE, PICTURE, 4), 255, dtype=np.uint8)


def write_sheet(path: Path, rows: Sequence[Sequence[tuple["np.ndarray", str]]]) -> None:
    """Write rows of pictures with captions as a PNG; short rows are filled."""
    from pointspider.core.files import write_png
    from pointspider.render.sheet import grid

    columns = max(map(len, rows))
    cells = [cell for row in rows for cell in [*row, *[(blank(), "")] * (columns - len(row))]]
    pictures, captions = zip(*cells, strict=True)
    write_png(path, grid(pictures, columns, captions, gap=8))
