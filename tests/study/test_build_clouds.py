"""From a source and manifests to the HDF5 file of a class."""

import logging
from collections.abc import Sequence

import numpy as np
import pytest
import trimesh

from pointspider.clouds.cloud import Cloud, Mesh
from pointspider.clouds.corruptions.engine import corrupt_clouds
from pointspider.clouds.names import CLEAN, CorruptionLevel, levels
from pointspider.clouds.sources.base import ALL, Source
from pointspider.clouds.sources.registry import open_source, parse_settings
from pointspider.core.errors import InputError
from pointspider.core.files import Group, write_hdf5
from pointspider.study import manifests as sampling
from pointspider.study.build_clouds import build_clouds
from pointspider.study.cloud_files import read_clouds
from pointspider.study.objects import assign_roles

NAMES = ["0000", "0001", "0002"]


class Balls(Source):
    """A source of three ellipsoids, the third without a mesh; it holds gaussian_1 itself."""

    classes = ("ball",)

    def __init__(self):
        pass

    def __str__(self) -> str:
        return "data/balls"

    @classmethod
    def list_classes(cls, settings):
        return cls.classes

    def objects(self):
        return {ALL: {"ball": NAMES}}

    def load(self, class_name: str, object_name: str) -> Cloud:
        mesh = trimesh.creation.icosphere().apply_scale([1, 1, 0.5 + 0.1 * int(object_name)])
        points, _ = trimesh.sample.sample_surface(mesh, 1500 + int(object_name), seed=0)
        surface = Mesh(np.asarray(mesh.vertices), np.asarray(mesh.faces))
        return Cloud(points.astype(np.float32), None if object_name == "0002" else surface)

    def released(
        self, class_name: str, object_names: Sequence[str], level: CorruptionLevel
    ) -> np.ndarray | None:
        if level != CorruptionLevel("gaussian", 1):
            return None
        return np.stack([np.arange(12, dtype=np.float32).reshape(4, 3) + int(name) for name in object_names])


def build(*clouds: tuple[str, str, int], points: int = 128):
    return dict(build_clouds(Balls(), "ball", clouds, points, seed=3))


def test_each_cloud_once_clean_first_sorted_by_object(tmp_path):
    rows = [("0001", "uniform", 2), ("0002", "lidar", 1), ("0000", "uniform", 2), ("0001", "original", 0)]
    rows = [("0000", "lidar", 1) if row[0] == "0002" else row for row in rows]
    groups = build(*rows)
    assert list(groups) == ["original", "lidar_1", "uniform_2"]
    assert groups["uniform_2"].arrays["cloud_id"].tolist() == ["ball/uniform_2/0000", "ball/uniform_2/0001"]
    assert groups["uniform_2"].attributes == {"corruption": "uniform", "severity": 2}
    assert {name: group.arrays["points"].shape for name, group in groups.items()} == {
        "original": (1, 128, 3),
        "lidar_1": (1, 96, 3),
        "uniform_2": (2, 128, 3),
    }
    write_hdf5(tmp_path / "ball.h5", groups.items())
    read = read_clouds(tmp_path / "ball.h5")
    assert list(read) == list(groups)
    for level, (ids, points) in read.items():
        assert ids.tolist() == groups[level].arrays["cloud_id"].tolist()
        assert points.dtype == np.float32
        np.testing.assert_array_equal(points, groups[level].arrays["points"])


def test_a_cloud_does_not_depend_on_what_else_is_built():
    alone = build(("0001", "uniform", 2))["uniform_2"].arrays["points"][0]
    among = build(*[(name, "uniform", 2) for name in NAMES], ("0001", "cutout", 1))["uniform_2"].arrays[
        "points"
    ]
    assert alone.tobytes() == among[1].tobytes()
    pool = Balls().load("ball", "0001").points
    made = corrupt_clouds(CorruptionLevel("uniform", 2), [pool], [None], ["ball/0001"], seed=3, points=128)
    assert made[0].tobytes() == alone.tobytes()


def test_the_clean_cloud_is_a_subset_of_the_pool():
    clean = build(("0001", "original", 0))["original"].arrays["points"][0]
    pool = {tuple(point) for point in Balls().load("ball", "0001").points.tolist()}
    assert len({tuple(point) for point in clean.tolist()} & pool) == 128


def test_released_clouds_are_taken_as_they_are():
    points = build(("0002", "gaussian", 1), ("0000", "gaussian", 1))["gaussian_1"].arrays["points"]
    np.testing.assert_array_equal(points[1], np.arange(12).reshape(4, 3) + 2)


def test_a_missing_mesh_names_the_source_and_the_corruptions():
    with pytest.raises(InputError, match=r"data/balls: ball/0002 .*no mesh, which occlusion_3 needs.*lidar"):
        build(("0001", "occlusion", 3), ("0002", "occlusion", 3))


def test_unknown_variants_are_refused_before_any_work():
    with pytest.raises(InputError, match="'unifrom' is not a corruption; did you mean 'uniform'"):
        build(("0001", "original", 0), ("0001", "unifrom", 3))


def test_read_clouds_refuses_other_files(tmp_path):
    path = tmp_path / "clouds.h5"
    with pytest.raises(InputError, match=r"clouds\.h5"):
        read_clouds(path)
    write_hdf5(path, [("uniform_1", Group({}, {}))])
    with pytest.raises(InputError, match=r"clouds\.h5: group uniform_1 has no clouds"):
        read_clouds(path)


def test_a_warning_says_that_density_inc_repeats_points(caplog):
    with caplog.at_level(logging.WARNING, "pointspider"):
        build(("0000", "density_inc", 1), ("0001", "uniform", 1), points=512)
    assert caplog.messages == []
    with caplog.at_level(logging.WARNING, "pointspider"):
        build(("0000", "density_inc", 1), points=1024)
    assert caplog.messages == [
        "data/balls: density_inc_1 draws 2048 points of each cloud and repeats points of 1 clouds of class "
        "'ball' that have fewer, e.g. 0000."
    ]


def test_procedural_objects_at_a_level_and_clean():
    values = {
        "source": "procedural",
        "directory": None,
        "classes": ["chair", "cone"],
        "evaluation_objects": 2,
        "encoder_objects": 1,
    }
    source = open_source(parse_settings(values), seed=1)
    objects = assign_roles(source.objects(), 2, 1, seed=1)
    assert objects["role"].value_counts().to_dict() == {"evaluation": 4, "encoders": 2}
    occlusion = levels(["occlusion"], [1])
    aligned = [(f"{number:04d}", *occlusion[0]) for number in range(2)]
    encoders = sampling.used_clouds([sampling.encoder_clouds(objects, occlusion, 1, 5)])["chair"]
    groups = dict(build_clouds(source, "chair", aligned + encoders, 1024, seed=3))
    assert {name: group.arrays["points"].shape for name, group in groups.items()} == {
        str(CLEAN): (1, 1024, 3),
        "occlusion_1": (2, 1024, 3),
    }
