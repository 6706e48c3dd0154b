"""ModelNet40 as a source: points from its HDF5 files, meshes from its OFF files, both in one frame."""

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import trimesh

from pointspider.clouds.names import levels
from pointspider.clouds.sources.modelnet40 import ModelNet40, ModelNet40Settings
from pointspider.clouds.sources.registry import open_source, parse_settings
from pointspider.core.errors import InputError
from pointspider.study.build_clouds import build_clouds

#: Rows of the files: two files of the test split, one of the train split, as in modelnet40_ply_hdf5_2048.
ROWS = {
    "test0": ["chair/chair_0892", "bed/bed_0517", "chair/chair_0890"],
    "test1": ["vase/vase_0481", "chair/chair_0891"],
    "train0": ["bed/bed_0001", "chair/chair_0002", "chair/chair_0001"],
}


def shape(name: str) -> trimesh.Trimesh:
    """An object as its OFF file holds it: z up, anywhere, at any scale; its height is its longest side."""
    size = [1, 2 + int(name[-1]) / 10, 4]
    return trimesh.creation.box(size, trimesh.transformations.translation_matrix([5, 6, 7]))


@pytest.fixture
def modelnet(tmp_path) -> Path:
    points, meshes = tmp_path / "modelnet40_ply_hdf5_2048", tmp_path / "ModelNet40"
    points.mkdir()
    for file, names in ROWS.items():
        split, number = file[:-1], file[-1]
        clouds = []
        for name in names:
            class_name, stem = name.split("/")
            mesh = shape(stem)
            (meshes / class_name / split).mkdir(parents=True, exist_ok=True)
            path = meshes / class_name / split / f"{stem}.off"
            mesh.export(path)
            path.write_text(path.read_text().replace("OFF\n", "OFF", 1))  # as many of ModelNet40's begin
            cloud = mesh.sample(2048, seed=0) - mesh.centroid
            x, y, z = cloud.T
            cloud = np.column_stack([-x, z, y])  # y up
            clouds.append(cloud / np.linalg.norm(cloud, axis=1).max())
        with h5py.File(points / f"ply_data_{file}.h5", "w") as h5:
            h5["data"] = np.float32(clouds)
            h5["label"] = np.zeros((len(names), 1), np.uint8)
        listing = points / f"ply_data_{split}_{number}_id2file.json"
        listing.write_text(json.dumps([f"{name}.ply" for name in names]))
    return tmp_path


def open_modelnet(directory, classes=("bed", "chair"), corruptions=("uniform", "lidar")):
    settings = ModelNet40Settings(directory=str(directory), classes=classes, corruptions=corruptions)
    return ModelNet40(settings, seed=1)


def test_folders_one_folder_too_deep_are_explained(modelnet):
    (modelnet / "deeper").mkdir()
    for name in ("modelnet40_ply_hdf5_2048", "ModelNet40"):
        (modelnet / name).rename(modelnet / "deeper" / name)
    with pytest.raises(InputError, match=f"one folder too deep; set it to {modelnet / 'deeper'}"):
        open_modelnet(modelnet)


def test_objects_are_in_their_splits(modelnet):
    objects = open_modelnet(modelnet).objects()
    assert {split: {name: sorted(found) for name, found in o.items()} for split, o in objects.items()} == {
        "test": {"bed": ["bed_0517"], "chair": ["chair_0890", "chair_0891", "chair_0892"]},
        "train": {"bed": ["bed_0001"], "chair": ["chair_0001", "chair_0002"]},
    }


def test_points_and_mesh_of_an_object_lie_in_one_frame(modelnet):
    source = open_modelnet(modelnet)
    for name in ("chair_0891", "chair_0002", "chair_0890", "chair_0892"):  # not in the files' order
        cloud = source.load("chair", name)
        points, mesh = cloud.points, cloud.mesh.surface
        assert points.shape == (2048, 3)
        assert points.dtype == np.float32
        sides, mesh_sides = np.ptp(points, axis=0), mesh.extents
        np.testing.assert_allclose(sides / sides[1], mesh_sides / mesh_sides[1], atol=0.01)
        np.testing.assert_allclose(mesh_sides, [1, 4, 2 + int(name[-1]) / 10])  # up is y
        assert mesh.volume > 0  # a rotation, no mirroring


def test_meshes_are_read_only_where_they_are_needed(modelnet):
    shutil.rmtree(modelnet / "ModelNet40")
    source = open_modelnet(modelnet, corruptions=["uniform"])
    assert source.load("bed", "bed_0517").mesh is None
    with pytest.raises(InputError, match=r"has no ModelNet40; unpack ModelNet40\.zip there"):
        open_modelnet(modelnet)


def test_every_corruption_is_generated(modelnet):
    settings = {
        "source": "generate", "directory": str(modelnet), "classes": ["bed", "chair"], "points": 1024,
        "corruptions": ["uniform", "occlusion", "lidar"], "severities": [1, 5],
        "evaluation_objects": None, "encoder_objects": 1,
    }  # fmt: skip
    source = open_source(parse_settings(settings), seed=1)
    wanted = levels(settings["corruptions"], settings["severities"])
    used = [(name, *level) for name in ("chair_0890", "chair_0002") for level in wanted]
    groups = dict(build_clouds(source, "chair", used, 1024, seed=3))
    assert {name: group.arrays["points"].shape for name, group in groups.items()} == {
        "lidar_1": (2, 768, 3), "lidar_5": (2, 768, 3),
        "occlusion_1": (2, 1024, 3), "occlusion_5": (2, 1024, 3),
        "uniform_1": (2, 1024, 3), "uniform_5": (2, 1024, 3),
    }  # fmt: skip


def test_missing_folders_are_named():
    with pytest.raises(InputError, match=r"has no modelnet40_ply_hdf5_2048 and no ModelNet40; unpack"):
        open_modelnet("no/such/place")


def test_broken_files_are_named(modelnet):
    names = modelnet / "modelnet40_ply_hdf5_2048/ply_data_test_1_id2file.json"
    whole = names.read_text()
    names.write_text(json.dumps(["vase/vase_0481.ply"]))
    with pytest.raises(InputError, match=r"ply_data_test1\.h5: clouds \(2, 2048, 3\), but .* names 1"):
        open_modelnet(modelnet)
    for content in ("", "[1]", '["chair"]'):
        names.write_text(content)
        with pytest.raises(InputError, match=r"ply_data_test1\.h5 and ply_data_test_1_id2file\.json: cannot"):
            open_modelnet(modelnet)
    names.write_text(whole)
    path = modelnet / "modelnet40_ply_hdf5_2048/ply_data_test1.h5"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"ply_data_test1\.h5 and .*: cannot be read"):
        open_modelnet(modelnet)
    for path in modelnet.glob("*/ply_data_test*.h5"):
        path.unlink()
    with pytest.raises(InputError, match=r"has no ply_data_test<k>\.h5"):
        open_modelnet(modelnet)


def test_points_that_are_damaged_after_they_were_listed_are_named(modelnet):
    source = open_modelnet(modelnet)
    path = modelnet / "modelnet40_ply_hdf5_2048/ply_data_test1.h5"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"ply_data_test1\.h5: cannot be read .*unpack"):
        source.load("chair", "chair_0891")


def test_a_file_without_faces_is_no_mesh(modelnet):
    (modelnet / "ModelNet40/bed/test/bed_0517.off").write_text("OFF\n3 0 0\n0 0 0\n0 0 1\n0 1 0\n")
    with pytest.raises(InputError, match=r"bed_0517\.off: has no faces"):
        open_modelnet(modelnet).load("bed", "bed_0517")
