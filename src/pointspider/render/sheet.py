"""Several pictures in one: grids with captions, and a bar that explains a colormap."""

import textwrap
from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from pointspider.core.errors import InputError
from pointspider.render.colours import Rgb, map_colours

INK, PAPER = (0, 0, 0, 255), (255, 255, 255, 255)
CAPTION = 0.06  # font size of captions, as a share of a picture's side
SMALLEST_FONT = 9  # pixels
ASCII = str.maketrans("‐‑–—−‘’“”…×", "-----''\"\".x")  # that Pillow's font lacks
BAR = 0.04  # width of a colour bar, as a share of a picture's side


def grid(
    pictures: Sequence[UInt8[np.ndarray, "H W 4"]],
    columns: int,
    captions: Sequence[str] | None = None,
    background: Rgb | None = (1.0, 1.0, 1.0),
    gap: int = 0,
    note: str = "",
) -> UInt8[np.ndarray, "H2 W2 4"]:
    """Arrange pictures of one size row by row, with captions below.

    Args:
        pictures: sRGB and straight alpha.
        columns: pictures per row.
        captions: one per picture; long lines of them are broken.
        background: sRGB of gaps, captions and missing pictures; transparent if None.
        gap: pixels between pictures.
        note: below all of them.

    Raises:
        InputError: no pictures, or another number of captions.
    """
    if not pictures:
        raise InputError("a grid needs at least one picture.")
    if captions is not None and len(captions) != len(pictures):
        raise InputError(f"{len(captions)} captions for {len(pictures)} pictures; give one of each.")
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    height, width = pictures[0].shape[:2]
    font = _font(width)
    line = font.getbbox("Ag")[3] + 2
    characters = max(1, int(width / font.getlength("n")))
    texts = [_lines(caption, characters) for caption in captions or []]
    foot = _lines(note, characters * columns)
    step = height + gap + (max(map(len, texts)) * line + line // 2 if texts else 0)
    bottom = rows * step - gap
    size = (columns * (width + gap) - gap, bottom + (len(foot) * line + line // 2 if foot else 0))
    sheet = Image.new("RGBA", size, _fill(background))
    pen = ImageDraw.Draw(sheet)
    for index, picture in enumerate(pictures):
        left, top = index % columns * (width + gap), index // columns * step
        sheet.paste(Image.fromarray(picture), (left, top))
        for number, text in enumerate(texts[index] if texts else []):
            place = (left + width / 2, top + height + line // 4 + number * line)
            pen.text(place, text, fill=_ink(background), font=font, anchor="ma")
    for number, text in enumerate(foot):
        place = (line / 4, bottom + line // 4 + number * line)
        pen.text(place, text, fill=_ink(background), font=font, anchor="la")
    return np.asarray(sheet)


def _lines(text: str, characters: int) -> list[str]:
    text = text.translate(ASCII)
    return [line for part in text.splitlines() for line in textwrap.wrap(part, characters)]


def add_color_bar(
    picture: UInt8[np.ndarray, "H W 4"],
    colormap: str,
    limits: tuple[float, float],
    background: Rgb | None = (1.0, 1.0, 1.0),
) -> UInt8[np.ndarray, "H W2 4"]:
    """Put a colormap with the numbers at its ends and in its middle to the right of a picture or a grid."""
    height, width = picture.shape[:2]
    font = _font(min(height, width))
    low, high = limits
    texts = [f"{low + share * (high - low):.4g}" for share in (0, 0.5, 1)]
    bar = max(4, int(BAR * min(height, width)))
    ticks = int(max(font.getlength(text) for text in texts)) + bar
    result = Image.new("RGBA", (width + bar + ticks, height), _fill(background))
    result.paste(Image.fromarray(picture), (0, 0))
    top, bottom = height // 8, height - height // 8
    colours = map_colours(np.linspace(1, 0, bottom - top), colormap)
    strip = np.full((bottom - top, bar, 4), 255, np.uint8)
    strip[..., :3] = (colours * 255 + 0.5).astype(np.uint8)[:, None]
    result.paste(Image.fromarray(strip), (width, top))
    pen = ImageDraw.Draw(result)
    for share, text in zip((0, 0.5, 1), texts, strict=True):
        place = (width + bar + bar // 3, bottom - share * (bottom - top))
        pen.text(place, text, fill=_ink(background), font=font, anchor="lm")
    return np.asarray(result)


def _font(side: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(max(SMALLEST_FONT, CAPTION * side))
    assert isinstance(font, ImageFont.FreeTypeFont)  # with a size it is
    return font


def _fill(background: Rgb | None) -> tuple[int, ...]:
    return (0, 0, 0, 0) if background is None else (*(round(255 * part) for part in background), 255)


def _ink(background: Rgb | None) -> tuple[int, ...]:
    """Black or white, whichever is easier to read."""
    dark = background is not None and np.dot(background, (0.299, 0.587, 0.114)) < 0.5
    return PAPER if dark else INK
