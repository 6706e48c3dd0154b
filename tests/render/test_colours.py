import numpy as np
import pytest

from pointspider.core.errors import InputError
from pointspider.render import colours
from pointspider.render.scene import to_linear, to_srgb


def test_srgb_comes_back():
    srgb = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(to_srgb(to_linear(srgb / 255)), srgb)


def test_bytes_and_floats_are_the_same_colours():
    given = np.array([[0, 128, 255]], np.uint8)
    np.testing.assert_allclose(colours.by_colour(given), colours.by_colour(given / 255))
    for bad in (np.array([[0, 1, 2.0]]), np.array([[0, 1, 2]])):
        with pytest.raises(InputError, match="sRGB: bytes"):
            colours.by_colour(bad)


@pytest.mark.parametrize(
    ("text", "rgb"), [("#ff0080", (1, 0, 128 / 255)), ("white", (1, 1, 1)), ("#fff", (1, 1, 1))]
)
def test_colours_have_names(text, rgb):
    assert colours.parse_colour(text) == rgb
    with pytest.raises(InputError, match="'reddish' is not a colour"):
        colours.parse_colour("reddish")


def test_a_labels_colour_depends_on_its_value_alone():
    first = colours.by_label(np.array([3, 0, 12, -1]))
    again = colours.by_label(np.array([12, 99, 3, 3]))
    np.testing.assert_array_equal(first[[0, 2]], again[[2, 0]])
    many = colours.by_label(np.arange(-1, 60))
    assert len(np.unique(many.round(4), axis=0)) == 61
    np.testing.assert_allclose(colours.by_label(np.array([3, 4]), {3: (1.0, 0.0, 0.0)})[0], [1, 0, 0])
    with pytest.raises(InputError, match="whole numbers"):
        colours.by_label(np.array([0.5]))


def test_scalars_follow_the_colormap():
    values, limits = colours.by_scalar(np.array([1.0, 2.0, 3.0, np.nan]), "gray")
    assert limits == (1, 3)
    np.testing.assert_allclose(values[:3, 0], to_linear(np.array([0, 0.5, 1])))
    np.testing.assert_allclose(values[3], to_linear(np.array(colours.CLAY)))
    clipped, _ = colours.by_scalar(np.array([-9, 9]), "gray", (0, 1))
    np.testing.assert_allclose(clipped[:, 0], [0, 1])
    constant, _ = colours.by_scalar(np.ones(3))
    assert np.isfinite(constant).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"colormap": "jet"}, "'jet' is unknown; choose from viridis"),
        ({"limits": (2, 1)}, "range: 2 must be below 1"),
    ],
)
def test_bad_scalar_options_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        colours.by_scalar(np.arange(3), **options)
    with pytest.raises(InputError, match="no finite value"):
        colours.by_scalar(np.full(3, np.nan))


def test_colormaps_are_matplotlibs():
    matplotlib = pytest.importorskip("matplotlib")
    places = np.linspace(0, 1, 200)
    for name in colours.COLORMAPS:
        expected = matplotlib.colormaps[name](places)[:, :3]
        assert np.abs(colours.map_colours(places, name) - expected).max() < 0.03


def test_normals_are_directions_of_any_length():
    normals = np.array([[2.0, 0, 0], [0, 0, -3], [0, 0, 0]])
    np.testing.assert_allclose(
        colours.by_normal(normals), to_linear(np.array([[1, 0.5, 0.5], [0.5, 0.5, 0], [0.5] * 3]))
    )
