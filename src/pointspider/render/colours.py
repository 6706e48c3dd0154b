"""Colours of points: one for all, by position, by normal, by label and by scalar.

Colours are chosen as they look on a screen, in sRGB, and converted to linear reflectances here, so that an
evenly lit patch has the colour that was asked for; shading darkens it.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Num, Shaped, UInt8
from PIL import ImageColor

from pointspider.core.errors import InputError
from pointspider.render.scene import to_linear

Rgb = tuple[float, float, float]

#: The first eight are Okabe and Ito's, which colour-blind people can distinguish (https://jfly.uni-koeln.de/color,
#: 2008), with grey for black; two of Paul Tol's "muted" follow.
PALETTE = (
    "#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7",
    "#56b4e9", "#f0e442", "#999999", "#332288", "#882255",
)  # fmt: skip
UNLABELLED = "#cccccc"  # labels below 0
GOLDEN = (5**0.5 - 1) / 2  # multiples of it spread hues evenly

#: Matplotlib's colormaps (CC0) at 33 places; between them they are interpolated.
COLORMAPS = {
    "viridis": (
        "440154470d6048186a482374472d7b4537814240863e49893b528b375b8d33638d"
        "2f6b8e2c728e297a8e26828e23898e21918c1f988b1fa08822a78528ae8032b67a"
        "3fbc734ec36b5ec96270cf5784d44b98d83eaddc30c2df23d8e219ece51bfde725"
    ),
    "magma": (
        "0000040303120a0822130d341d114729115a36106b440f7651127c5d177f6a1c81"
        "762181832681902a819c2e7faa337db73779c43c75d0416fdc4869e75263ef5d5e"
        "f56b5cf9795dfc8961fd9869fea772feb67cfec488fed395fde2a3fcf0b2fcfdbf"
    ),
    "cividis": (
        "00224e00285b002e6a0533711a386f273e6e32436d3b496c434e6c4b546c535a6d"
        "5a5f6e61656f686a716f70737676767d7c788482798c8878938e789b9476a39a74"
        "aba072b4a76fbcae6cc4b468cdbb63d5c25edec958e7d150f0d846f9e03afee838"
    ),
    "coolwarm": (
        "3b4cc0445acc4e68d85875e16282ea6c8ff1779af782a6fb8db0fe98b9ffa3c2fe"
        "aec9fcb9d0f9c3d5f4ccd9edd5dbe5dddcdce5d8d1ecd3c5f1ccb8f5c4acf7ba9f"
        "f7b093f6a586f4987af08b6eeb7d62e46e56dd5f4bd44e41ca3b37be242eb40426"
    ),
    "gray": "000000ffffff",
}
CLAY = (0.5, 0.5, 0.5)


def parse_colour(text: str) -> Rgb:
    """Return the sRGB, from 0 to 1, of "#rrggbb" or a CSS name.

    Raises:
        InputError: it is neither.
    """
    try:
        red, green, blue = ImageColor.getrgb(text)[:3]
    except ValueError as error:
        raise InputError(f"'{text}' is not a colour; write #rrggbb or a name such as red.") from error
    return red / 255, green / 255, blue / 255


def by_colour(colours: Num[np.ndarray, "*N 3"]) -> Float[np.ndarray, "*N 3"]:
    """Return linear reflectances of sRGB colours: bytes, or floats from 0 to 1.

    Raises:
        InputError: another type or range.
    """
    colours = np.asarray(colours)
    if colours.dtype == np.uint8:
        colours = colours / 255
    elif colours.dtype.kind != "f" or not ((colours >= 0) & (colours <= 1)).all():
        raise InputError("colours are sRGB: bytes (uint8) from 0 to 255, or floats from 0 to 1.")
    return to_linear(colours)


def by_normal(normals: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, "N 3"]:
    """Return a colour of each direction: its components from -1 to 1 become red, green and blue."""
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    unit = np.divide(normals, length, out=np.zeros(normals.shape), where=length > 0)
    return to_linear((unit + 1) / 2)


def by_label(
    labels: Shaped[np.ndarray, " N"], palette: Mapping[int, Rgb] | None = None
) -> Float[np.ndarray, "N 3"]:
    """Return a colour of each label, which depends on its value alone.

    Labels 0 to 9 have the colours of PALETTE; larger ones evenly spread hues, which are harder to
    distinguish; labels below 0 are light grey.

    Args:
        labels: one per point.
        palette: sRGB of some labels instead.

    Raises:
        InputError: they are not whole numbers.
    """
    labels = np.asarray(labels)
    if labels.dtype.kind not in "iub":
        raise InputError(f"labels are whole numbers, not {labels.dtype}.")
    values, inverse = np.unique(labels, return_inverse=True)
    known = palette or {}
    table = np.array([known.get(int(value)) or _label_colour(int(value)) for value in values])
    return to_linear(table)[inverse]


def by_scalar(
    values: Num[np.ndarray, " N"], colormap: str = "viridis", limits: tuple[float, float] | None = None
) -> tuple[Float[np.ndarray, "N 3"], tuple[float, float]]:
    """Return a colour of each value, and the values at the ends of the colormap.

    Args:
        values: one per point; grey where NaN.
        colormap: a name of COLORMAPS.
        limits: values at the ends of the colormap, beyond which colours stay the same; by default the least
            and the greatest value.

    Raises:
        InputError: an unknown colormap, no finite value, or limits that are not increasing.
    """
    values = np.asarray(values, np.float64)
    finite = np.isfinite(values)
    if limits is None:
        if not finite.any():
            raise InputError("the scalars have no finite value.")
        limits = float(values[finite].min()), float(values[finite].max())
    elif not limits[0] < limits[1]:
        raise InputError(f"range: {limits[0]:g} must be below {limits[1]:g}.")
    low, high = limits
    place = (values.clip(low, high) - low) / ((high - low) or 1)
    srgb = np.where(finite[:, None], map_colours(np.where(finite, place, 0), colormap), CLAY)
    return to_linear(srgb), limits


def map_colours(places: Float[np.ndarray, " n"], colormap: str) -> Float[np.ndarray, "n 3"]:
    """Return the sRGB, from 0 to 1, at places from 0 to 1 along a colormap.

    Raises:
        InputError: an unknown colormap.
    """
    if colormap not in COLORMAPS:
        raise InputError(f"colormap: '{colormap}' is unknown; choose from {', '.join(COLORMAPS)}.")
    anchors: UInt8[np.ndarray, "k 3"] = np.frombuffer(bytes.fromhex(COLORMAPS[colormap]), np.uint8).reshape(
        -1, 3
    )
    ends = np.linspace(0, 1, len(anchors))
    return np.stack([np.interp(places, ends, channel / 255) for channel in anchors.T], axis=1)


def _label_colour(label: int) -> Rgb:
    if label < 0:
        return parse_colour(UNLABELLED)
    if label < len(PALETTE):
        return parse_colour(PALETTE[label])
    lightness = (45, 60, 75)[label % 3]
    return parse_colour(f"hsl({label * GOLDEN % 1 * 360:.1f}, 65%, {lightness}%)")
