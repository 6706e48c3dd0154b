"""The procedural source: names, seeds, frame, sampling, and the look of each class."""

import itertools

import numpy as np
import pytest
from scipy.stats import ks_2samp
from trimesh.proximity import closest_point_naive

from pointspider.clouds.names import CLEAN, MODELNET40_CLASSES
from pointspider.clouds.sources.procedural.recipes import RECIPES
from pointspider.clouds.sources.procedural.source import (
    POOL,
    ProceduralSettings,
    ProceduralSource,
    build_mesh,
)
from pointspider.core.errors import InputError

OBJECTS = [f"{number:04d}" for number in range(12)]


def open_source(seed=1, evaluation=4, encoders=8, classes="all") -> ProceduralSource:
    settings = ProceduralSettings(classes=classes, evaluation_objects=evaluation, encoder_objects=encoders)
    return ProceduralSource(settings, seed)


@pytest.fixture(scope="module")
def source() -> ProceduralSource:
    return open_source()


@pytest.fixture(scope="module")
def pools(source) -> dict[str, np.ndarray]:
    """Class → (12, POOL, 3)."""
    return {name: loaded_points(source, name, OBJECTS) for name in source.classes}


def loaded_points(source: ProceduralSource, class_name: str, names: list[str]) -> np.ndarray:
    return np.stack([source.load(class_name, name).points for name in names])


def loaded_meshes(source: ProceduralSource, class_name: str, names: list[str]) -> list:
    return [source.load(class_name, name).mesh.surface for name in names]


def shown(points: np.ndarray) -> np.ndarray:
    """(N, 3) in the unit cube, as it is rendered: the longest side from 0 to 1, y from 0."""
    low, high = points.min(axis=0), points.max(axis=0)
    scaled = (points - (low + high) / 2) / (high - low).max()
    return scaled - [0, scaled[:, 1].min(), 0]


# ------------------------------------------------------------------------------------ objects and seeds


def test_there_is_a_recipe_for_every_class():
    assert tuple(RECIPES) == MODELNET40_CLASSES


def test_objects_are_named_in_order_in_disjoint_splits(source):
    objects = source.objects()
    assert source.classes == MODELNET40_CLASSES == tuple(objects["test"]) == tuple(objects["train"])
    assert objects["test"]["cone"] == OBJECTS[:4]
    assert objects["train"]["cone"] == OBJECTS[4:]


def test_points_and_meshes_repeat_bit_for_bit(source):
    again = open_source()
    for name in ("chair", "plant"):
        for a, b in zip(
            loaded_points(source, name, OBJECTS[:2]), loaded_points(again, name, OBJECTS[:2]), strict=True
        ):
            assert a.tobytes() == b.tobytes()
        for a, b in zip(
            loaded_meshes(source, name, OBJECTS[:2]), loaded_meshes(again, name, OBJECTS[:2]), strict=True
        ):
            assert a.vertices.tobytes() == b.vertices.tobytes()
            np.testing.assert_array_equal(a.faces, b.faces)


def test_more_objects_or_fewer_classes_change_no_object(source):
    other = open_source(1, 20, 0, ["lamp", "desk"])
    assert other.classes == ("desk", "lamp")
    for name in other.classes:
        np.testing.assert_array_equal(
            loaded_points(other, name, OBJECTS[2:7]), loaded_points(source, name, OBJECTS[2:7])
        )


def test_another_seed_makes_other_objects(source):
    other = open_source(2)
    assert not np.allclose(
        loaded_points(other, "sofa", ["0000"]), loaded_points(source, "sofa", ["0000"]), atol=0.01
    )


def test_nothing_is_released(source):
    assert source.released("chair", OBJECTS, CLEAN) is None


def test_unknown_classes_are_refused():
    with pytest.raises(InputError, match=r"clouds\.classes: spaceship not in the source; it has airplane"):
        open_source(classes=["chair", "spaceship"])


# --------------------------------------------------------------------------------- meshes and their points


@pytest.mark.parametrize("class_name", MODELNET40_CLASSES)
def test_every_class_builds_sound_meshes(class_name):
    for seed in range(15):
        mesh = build_mesh(class_name, np.random.default_rng(seed))
        assert np.isfinite(mesh.vertices).all()
        assert mesh.faces.max() < len(mesh.vertices)
        assert (np.ptp(mesh.vertices, axis=0) > 0.03 * np.ptp(mesh.vertices)).all()
        assert mesh.area > 0


def test_pools_are_normalised_like_modelnet40(pools):
    for clouds in pools.values():
        assert clouds.shape == (12, POOL, 3)
        assert clouds.dtype == np.float32
        np.testing.assert_allclose(clouds.mean(axis=1), 0, atol=1e-6)
        np.testing.assert_allclose(np.linalg.norm(clouds, axis=2).max(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("class_name", ["airplane", "bottle", "bookshelf", "plant", "tent"])
def test_points_lie_on_the_mesh_that_is_returned(source, pools, class_name):
    [mesh] = loaded_meshes(source, class_name, ["0003"])
    _, distance, _ = closest_point_naive(mesh, np.float64(pools[class_name][3][::64]))
    assert distance.max() < 1e-6


@pytest.mark.parametrize("class_name", ["chair", "glass_box", "table"])
def test_points_are_spread_by_area(source, pools, class_name):
    """Ten slabs along each axis hold as many points as their share of the area, by exact subdivision."""
    [mesh] = loaded_meshes(source, class_name, ["0000"])
    fine = mesh.subdivide_to_size(0.05)
    for axis in range(3):
        edges = np.linspace(-1, 1, 11)
        share, _ = np.histogram(fine.triangles_center[:, axis], edges, weights=fine.area_faces / fine.area)
        counts, _ = np.histogram(pools[class_name][0][:, axis], edges)
        np.testing.assert_allclose(counts / POOL, share, atol=0.05)


def test_the_first_half_of_a_pool_represents_it(pools):
    p_values = [
        ks_2samp(pools[name][0][:1024, axis], pools[name][0][1024:, axis]).pvalue
        for name in ("bed", "car", "person", "vase")
        for axis in range(3)
    ]
    assert min(p_values) > 0.001


# -------------------------------------------------------------------------------------------- looks


def test_objects_of_a_class_differ(pools):
    """No two objects have the same proportions."""
    for name, clouds in pools.items():
        sizes = np.stack([np.ptp(shown(cloud), axis=0) for cloud in clouds])
        gaps = [np.abs(a - b).max() for a, b in itertools.combinations(sizes, 2)]
        assert np.median(gaps) > 0.01, name
        assert min(gaps) > 1e-4, name


def test_structure_varies():
    """The number of faces tells legs, arms, shelves and steps apart."""
    for name in ("airplane", "bench", "bookshelf", "chair", "door", "lamp", "plant", "stairs", "stool"):
        counts = {len(build_mesh(name, np.random.default_rng(seed)).faces) for seed in range(12)}
        assert len(counts) >= 2, name


def width(points: np.ndarray) -> np.ndarray:
    return np.ptp(points, axis=0)


def between(points: np.ndarray, low: float, high: float) -> np.ndarray:
    """The points between two fractions of the height."""
    y = points[:, 1] / points[:, 1].max()
    return points[(y >= low) & (y <= high)]


def spans(points: np.ndarray, low: float, high: float) -> np.ndarray:
    """How much of the whole x and z extent the points at these heights span."""
    return (width(between(points, low, high)) / width(points))[[0, 2]]


LOOKS = {
    "airplane": lambda p: width(p)[1] < 0.45 and between(p, 0.7, 1)[:, 0].mean() < -0.2,  # the fin is aft
    "bed": lambda p: width(p)[2] > 0.95 and between(p, 0.85, 1)[:, 2].mean() > 0.35,  # the head is behind
    "bench": lambda p: width(p)[0] > 0.95 and width(p)[1] < 0.7,
    "bookshelf": lambda p: width(p)[1] > 0.95 and width(p)[2] < 0.4,
    "bottle": lambda p: (spans(p, 0.8, 0.9) < 0.6).all() and width(p)[0] < 0.45,
    "bowl": lambda p: (spans(p, 0.85, 1) > 0.95).all() and width(p)[1] < 0.6,
    "car": lambda p: width(p)[0] > 0.95 and width(p)[1] < 0.5,
    "chair": lambda p: between(p, 0.75, 1)[:, 2].mean() > 0.1 and width(p)[1] > 0.95,
    "cone": lambda p: (spans(p, 0.8, 1) < 0.35).all(),
    "door": lambda p: width(p)[1] > 0.95 and width(p)[0] < 0.7,
    "guitar": lambda p: width(p)[1] < 0.25 and width(p)[2] > 0.95,
    "keyboard": lambda p: width(p)[1] < 0.2 and width(p)[0] > 0.95,
    "laptop": lambda p: between(p, 0.8, 1)[:, 2].mean() > 0.2,
    "mantel": lambda p: (np.abs(between(p, 0.2, 0.6)[:, 0]) > 0.15).all(),  # the fire is free
    "plant": lambda p: (spans(p, 0, 0.15) < 0.9).all(),
    "range_hood": lambda p: (spans(p, 0.8, 1) < 0.75).all() and (spans(p, 0, 0.15) > 0.95).all(),
    "stairs": lambda p: between(p, 0.8, 1)[:, 2].mean() > 0.1 + between(p, 0, 0.2)[:, 2].mean(),
    "stool": lambda p: width(p)[1] > 0.95 and (spans(p, 0, 0.15) > 0.8).all(),
    "table": lambda p: (spans(p, 0.88, 1) > 0.9).all() and len(between(p, 0.88, 1)) > 0.5 * len(p),
    "toilet": lambda p: between(p, 0.75, 1)[:, 2].mean() > 0.2,
    "tv_stand": lambda p: width(p)[0] > 0.95 and width(p)[1] < 0.45,
    "wardrobe": lambda p: width(p)[1] > 0.95 and width(p)[2] > 0.3,
}


@pytest.mark.parametrize("class_name", LOOKS)
def test_class_has_its_look(pools, class_name):
    assert all(LOOKS[class_name](shown(cloud)) for cloud in pools[class_name])


def test_classes_can_be_told_apart(pools):
    """The nearest mean occupancy of a 10 x 10 x 10 grid names the class of unseen objects."""

    def occupancy(points: np.ndarray) -> np.ndarray:
        cells = np.add(shown(points[:1024]), (0.5, 0, 0.5))
        return np.sqrt(np.histogramdd(cells, bins=10, range=[(0, 1)] * 3)[0]).ravel()

    features = np.stack([[occupancy(cloud) for cloud in clouds] for clouds in pools.values()])
    centroids = features[:, :8].mean(axis=1)  # (40, 1000)
    unseen = features[:, 8:]  # (40, 4, 1000)
    distance = np.linalg.norm(unseen[:, :, None] - centroids, axis=-1)
    accuracy = (distance.argmin(axis=-1) == np.arange(40)[:, None]).mean()
    assert accuracy > 0.85
