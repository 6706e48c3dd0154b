"""Contact sheets of the workflow: renders and clouds with captions, row by row."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Num, UInt8
from PIL import Image, ImageDraw

from pointspider.core.errors import InputError
from pointspider.render.scene import Camera, place, to_srgb
from pointspider.render.sheet import grid
from pointspider.study.plots.style import footnote

SIDE, GAP = 208, 12  # pixels: side of a picture, space between pictures
FINER = 3  # dots are drawn at this multiple of SIDE and reduced
OUTLINE = 0.7  # of a dot, as a share of its colour


def contact_sheet(
    images: Sequence[UInt8[np.ndarray, "_ _ 3"]], labels: Sequence[str], columns: int, preset: str
) -> UInt8[np.ndarray, "H W 3"]:
    """Renders with captions, row by row (the paper's Fig. 1, for any number of clouds).

    Args:
        images: sRGB.
        labels: a caption per image.
        columns: images per row.
        preset: named in the footnote.

    Raises:
        InputError: no images, or another number of captions.
    """
    pictures = []
    for image in images:
        enlarged = np.asarray(Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BICUBIC))
        pictures.append(np.dstack([enlarged, np.full((SIDE, SIDE), 255, np.uint8)]))
    captions = [label.replace("_", " ") for label in labels]
    return grid(pictures, columns, captions, gap=GAP, note=footnote(preset))[..., :3]


def cloud_sheet(
    clouds: Mapping[str, Num[np.ndarray, "..."]], columns: int, preset: str
) -> UInt8[np.ndarray, "H W 3"]:
    """Point clouds with captions, row by row, as dots seen by the renderer's camera.

    Args:
        clouds: {caption: (N, 3), y up}; N may differ.
        columns: clouds per row.
        preset: named in the footnote.

    Raises:
        InputError: a cloud cannot be drawn; see `pointspider.render.scene.place`.
    """
    pictures = []
    for label, points in clouds.items():
        try:
            pictures.append(_dots(points))
        except InputError as error:
            raise InputError(f"cloud '{label}': {error}") from error
    return contact_sheet(pictures, list(clouds), columns, preset)


def project(
    points: Num[np.ndarray, "..."],
) -> tuple[Float[np.ndarray, "N 2"], Float[np.ndarray, " N"], Float[np.ndarray, "N 3"]]:
    """What the renderer's camera sees of a cloud, farthest point first.

    Returns:
        xy (N, 2) in the part of the picture that a cloud can reach, whose edges are at -1 and 1; radius (N,)
        of a point's sphere, same unit; colour (N, 3) sRGB in [0, 1], without the scene's light.
    """
    spheres = place(points)
    places, half_picture, depth = Camera().project(spheres.centres)
    xy = (2 * places - 1) * [1, -1]
    order = np.argsort(-depth, kind="stable")
    # The corners of the largest box fall on |x| <= 0.74 and -0.64 <= y <= 0.94 of the picture.
    radius = spheres.radius / half_picture[order]
    return (xy[order] - [0, 0.15]) / 0.83, radius / 0.83, to_srgb(spheres.colours[order]) / 255


def _dots(points: Num[np.ndarray, "..."]) -> UInt8[np.ndarray, "H W 3"]:
    """A picture of discs."""
    xy, radius, colour = project(points)
    side = FINER * SIDE
    centres = (1 + xy * [1, -1]) * side / 2
    corners = np.hstack([centres - radius[:, None] * side / 2, centres + radius[:, None] * side / 2])
    fills, outlines = (np.rint(255 * share * colour).astype(int).tolist() for share in (1, OUTLINE))
    picture = Image.new("RGB", (side, side), "white")
    pen = ImageDraw.Draw(picture)
    for corner, fill, outline in zip(corners.tolist(), fills, outlines, strict=True):
        pen.ellipse(corner, fill=tuple(fill), outline=tuple(outline))
    return np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BOX))
