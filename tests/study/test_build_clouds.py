"""From a source and manifests to the HDF5 file of a class; and opening sources."""

import subprocess
import sys
from collections.abc import Sequence

import h5py
import numpy as np
import pandas as pd
import pytest
import trimesh

from pointspider.clouds.corruptions.modelnet40c import corrupt
from pointspider.clouds.names import CLEAN, Variant, variants
from pointspider.clouds.sources.folder import FolderSource
from pointspider.clouds.sources.modelnet40c import RELEASED, ModelNet40C, points_per_cloud
from pointspider.clouds.sources.procedural.source import ProceduralSource
from pointspider.clouds.sources.registry import open_source
from pointspider.core.errors import InputError
from pointspider.core.files import read_csv, write_csv, write_hdf5
from pointspider.study import manifests as sampling
from pointspider.study.build_clouds import build_clouds
from pointspider.study.cloud_files import read_clouds, validate_points

NAMES = ["0000", "0001", "0002"]


class Balls:
    """A source of three ellipsoids, the third without a mesh; it holds gaussian_1 itself."""

    classes = ("ball",)

    def __str__(self) -> str:
        return "data/balls"

    def objects(self) -> pd.DataFrame:
        return pd.DataFrame({"class": "ball", "object": NAMES, "role": "evaluation"})

    def _mesh(self, name: str) -> trimesh.Trimesh:
        return trimesh.creation.icosphere().apply_scale([1, 1, 0.5 + 0.1 * int(name)])

    def load(
        self, class_name: str, object_names: Sequence[str]
    ) -> list[tuple[np.ndarray, trimesh.Trimesh | None]]:
        return [(self._points(name), None if name == "0002" else self._mesh(name)) for name in object_names]

    def _points(self, name: str) -> np.ndarray:
        points, _ = trimesh.sample.sample_surface(self._mesh(name), 1500 + int(name), seed=0)
        return points.astype(np.float32)

    def released(self, class_name: str, object_names: Sequence[str], variant: Variant) -> np.ndarray | None:
        if variant != Variant("gaussian", 1):
            return None
        return np.stack([np.arange(12, dtype=np.float32).reshape(4, 3) + int(name) for name in object_names])


def manifest(*clouds: tuple[str, str, int]) -> pd.DataFrame:
    rows = [("", "ball", *cloud, "train") for cloud in clouds]
    return pd.DataFrame(rows, columns=sampling.COLUMNS)


def build(*clouds: tuple[str, str, int], points: int = 128):
    return dict(build_clouds(Balls(), "ball", manifest(*clouds), points, seed=3))


def test_each_cloud_once_clean_first_sorted_by_object(tmp_path):
    rows = [("0001", "uniform", 2), ("0002", "lidar", 1), ("0000", "uniform", 2), ("0001", "original", 0)]
    rows = [("0000", "lidar", 1) if row[0] == "0002" else row for row in rows] + [("0001", "uniform", 2)]
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
    for variant, (ids, points) in read.items():
        assert ids.tolist() == groups[variant].arrays["cloud_id"].tolist()
        assert points.dtype == np.float32
        np.testing.assert_array_equal(points, groups[variant].arrays["points"])


def test_a_cloud_does_not_depend_on_what_else_is_built():
    alone = build(("0001", "uniform", 2))["uniform_2"].arrays["points"][0]
    among = build(*[(name, "uniform", 2) for name in NAMES], ("0001", "cutout", 1))["uniform_2"].arrays[
        "points"
    ]
    assert alone.tobytes() == among[1].tobytes()
    pool, _ = Balls().load("ball", ["0001"])[0]
    made = corrupt(Variant("uniform", 2), [pool], [None], ["ball/0001"], seed=3, points=128)
    assert made[0].tobytes() == alone.tobytes()


def test_the_clean_cloud_is_a_subset_of_the_pool():
    clean = build(("0001", "original", 0))["original"].arrays["points"][0]
    pool = {tuple(point) for point in Balls().load("ball", ["0001"])[0][0].tolist()}
    assert len({tuple(point) for point in clean.tolist()} & pool) == 128


def test_released_clouds_are_taken_as_they_are():
    points = build(("0002", "gaussian", 1), ("0000", "gaussian", 1))["gaussian_1"].arrays["points"]
    np.testing.assert_array_equal(points[1], np.arange(12).reshape(4, 3) + 2)


def test_manifests_are_read_back_and_joined_even_when_empty(tmp_path):
    write_csv(tmp_path / "full.csv", manifest(("0001", "uniform", 2), ("0001", "original", 0)))
    write_csv(tmp_path / "empty.csv", manifest())
    joined = pd.concat([read_csv(tmp_path / name) for name in ("full.csv", "empty.csv")])
    assert list(dict(build_clouds(Balls(), "ball", joined, 128, seed=3))) == ["original", "uniform_2"]


def test_other_classes_are_passed_over():
    other = manifest(("0001", "uniform", 2)).assign(**{"class": "cube"})
    assert list(build_clouds(Balls(), "ball", other, 128, seed=3)) == []


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
    with h5py.File(path, "w") as file:
        file.create_group("uniform_1")
    with pytest.raises(InputError, match=r"clouds\.h5: group uniform_1 holds no clouds"):
        read_clouds(path)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.zeros((4, 2)), r"shape \(N, 3\), not float64 \(4, 2\)"),
        (np.zeros(3), r"not float64 \(3,\)"),
        (np.zeros((4, 3), complex), "must be numbers"),
        (np.zeros((0, 3)), "has no points"),
        (np.full((4, 3), np.nan), "4 of 4 points have NaN or inf"),
        (np.full((4, 3), 2.5), "all of its 4 points coincide"),
    ],
)
def test_validate_points(points, message):
    with pytest.raises(InputError, match=f"cloud x: .*{message}"):
        validate_points(points, "cloud x")


def test_two_distinct_points_are_enough():
    validate_points(np.array([[0, 0, 0], [0, 0, 1]]), "cloud x")


# ---------------------------------------------------------------------------------------------- sources


def settings(**changes) -> dict:
    return {
        "source": "procedural",
        "directory": None,
        "classes": ["chair", "cone"],
        "points": 1024,
        "corruptions": ["scale"],
        "severities": [1, 2],
        "evaluation_objects": 2,
        "encoder_objects": 1,
        "encoder_variants": 1,
    } | changes


def test_open_procedural_and_build_a_class(tmp_path):
    source = open_source(settings(), seed=1)
    assert isinstance(source, ProceduralSource)
    assert source.classes == ("chair", "cone")
    objects = source.objects()
    assert objects["role"].value_counts().to_dict() == {"evaluation": 4, "encoders": 2}
    wanted = variants(["occlusion"], [1])
    aligned = pd.DataFrame(
        [("", "chair", f"{number:04d}", *wanted[0], "train") for number in range(2)], columns=sampling.COLUMNS
    )
    encoders = sampling.encoder_clouds(objects, wanted, 1, 5)
    groups = dict(build_clouds(source, "chair", pd.concat([aligned, encoders]), 1024, seed=3))
    assert {name: group.arrays["points"].shape for name, group in groups.items()} == {
        str(CLEAN): (1, 1024, 3),
        "occlusion_1": (2, 1024, 3),
    }


def test_open_folder_and_release(tmp_path):
    for name in ("a", "b"):
        (tmp_path / "clouds" / name).mkdir(parents=True)
        np.save(tmp_path / "clouds" / name / "x.npy", np.random.default_rng(0).normal(size=(9, 3)))
    folder = settings(
        source="folder",
        directory=str(tmp_path / "clouds"),
        classes="all",
        evaluation_objects=None,
        encoder_objects=0,
    )
    source = open_source(folder, seed=1)
    assert isinstance(source, FolderSource)
    assert source.classes == ("a", "b")

    np.save(tmp_path / "label.npy", np.array([[8], [9]], np.uint8))
    for variant in RELEASED:
        np.save(tmp_path / f"data_{variant}.npy", np.ones((2, points_per_cloud(variant), 3), np.float32))
    release = settings(
        source="modelnet40c", directory=str(tmp_path), evaluation_objects=None, encoder_objects=0
    )
    source = open_source(release, seed=1)
    assert isinstance(source, ModelNet40C)
    assert source.objects()["object"].tolist() == ["0000", "0001"]
    with pytest.raises(InputError, match=r"clouds\.encoder_objects: 2, but .*test split"):
        open_source(release | {"encoder_objects": 2}, seed=1)
    with pytest.raises(InputError, match=r"clouds\.points: 512, but .*set it to 1024"):
        open_source(release | {"points": 512}, seed=1)


def test_endless_and_unknown_sources():
    with pytest.raises(InputError, match=r"clouds\.evaluation_objects: null"):
        open_source(settings(evaluation_objects=None), seed=1)
    with pytest.raises(
        InputError, match=r"clouds\.source: 'shapenet'; choose procedural, folder, modelnet40c or"
    ):
        open_source(settings(source="shapenet"), seed=1)


def test_only_the_chosen_source_is_imported():
    code = "import sys, pointspider.clouds.sources.registry; print({'trimesh', 'h5py', 'scipy'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"
