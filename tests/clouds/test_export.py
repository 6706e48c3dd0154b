"""Corrupting files: layouts, attributes, manifests, single clouds, and bad input."""

import json
import os

import h5py
import numpy as np
import pytest
import trimesh

from pointspider.clouds.cloud import Cloud
from pointspider.clouds.export.clouds import Export
from pointspider.clouds.export.items import list_items, select_levels
from pointspider.clouds.export.run import export
from pointspider.clouds.readers.registry import load_cloud
from pointspider.clouds.writers import write_cloud
from pointspider.core.errors import InputError

LEVELS = (("uniform", 2), ("pointcloud-c/dropout_global", 1))


@pytest.fixture
def folder(tmp_path):
    """Two classes: three clouds of 200 points, one a file with NaN, one a mesh."""
    rng = np.random.default_rng(0)
    for name in ("bed", "chair"):
        (tmp_path / "in" / name).mkdir(parents=True)
    np.save(tmp_path / "in/bed/a.npy", rng.normal(size=(200, 3)).astype(np.float32))
    broken = rng.normal(size=(202, 3))
    broken[[5, 9]] = np.nan
    np.save(tmp_path / "in/chair/b.npy", broken)
    trimesh.creation.box((1, 2, 3)).export(tmp_path / "in/chair/c.off")
    (tmp_path / "in/.hidden.npy").write_text("")
    return tmp_path / "in"


@pytest.fixture
def array(tmp_path):
    """data_original.npy with label.npy, as the release of ModelNet40-C has them: 70 clouds of 64 points."""
    clouds = np.random.default_rng(0).normal(size=(70, 64, 3)).astype(np.float32)
    (tmp_path / "release").mkdir()
    np.save(tmp_path / "release/data_original.npy", clouds)
    np.save(tmp_path / "release/label.npy", (np.arange(70) % 40).astype(np.uint8)[:, None])
    return tmp_path / "release/data_original.npy"


def test_a_folder_is_mirrored(folder, tmp_path):
    assert export(folder, tmp_path / "out", Export(LEVELS, seed=3)) == 0
    written = sorted(
        path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*")
    )
    assert written == [
        "manifest.json",
        *(f"pointcloud-c/dropout_global_1/{name}.npy" for name in ("bed/a", "chair/b", "chair/c")),
        *(f"uniform_2/{name}.npy" for name in ("bed/a", "chair/b", "chair/c")),
    ]
    assert np.load(tmp_path / "out/pointcloud-c/dropout_global_1/bed/a.npy").shape == (150, 3)
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["options"]["seed"] == 3
    assert manifest["corruptions"]["uniform"]["constants"] == [0.01, 0.02, 0.03, 0.04, 0.05]
    assert "jiachens" in manifest["corruptions"]["uniform"]["source"]
    _, b, c = manifest["clouds"]
    assert (b["cloud"], b["points"], b["dropped"], b["label"]) == ("chair/b.npy", 200, 2, 1)
    assert c["counts"] == {"uniform_2": 2048, "pointcloud-c/dropout_global_1": 1536}
    assert len(b["sha256"]) == 64


def test_one_cloud_alone_is_the_same(folder, tmp_path):
    export(folder, tmp_path / "all", Export(LEVELS, seed=3))
    export(folder, tmp_path / "one", Export(LEVELS[:1], seed=3), only=["chair/c.off"])
    files = list((tmp_path / "one").rglob("*.npy"))
    assert len(files) == 1
    assert files[0].read_bytes() == (tmp_path / "all/uniform_2/chair/c.npy").read_bytes()


def test_processes_do_not_change_results(array, tmp_path):
    for processes in (1, 2):
        export(
            array, tmp_path / str(processes), Export(LEVELS[:1], layout="modelnet40-c"), processes=processes
        )
    first, second = (tmp_path / name / "data_uniform_2.npy" for name in ("1", "2"))
    assert first.read_bytes() == second.read_bytes()


def test_layout_of_modelnet40_c(array, tmp_path):
    levels = (("uniform", 2), ("distortion", 5), ("background", 5))
    export(array, tmp_path / "out", Export(levels, layout="modelnet40-c"))
    found = {path.name: np.load(path) for path in (tmp_path / "out").glob("*.npy")}
    assert {name: (data.dtype.str, data.shape) for name, data in found.items()} == {
        "label.npy": ("|u1", (70, 1)),
        "data_original.npy": ("<f4", (70, 64, 3)),
        "data_uniform_2.npy": ("<f4", (70, 64, 3)),
        "data_distortion_5.npy": ("<f8", (70, 64, 3)),
        "data_background_5.npy": ("<f4", (70, 67, 3)),
    }
    np.testing.assert_array_equal(found["label.npy"], np.load(array.with_name("label.npy")))
    np.testing.assert_allclose(np.linalg.norm(found["data_original.npy"], axis=2).max(axis=1), 1, rtol=1e-5)


def test_layout_of_pointcloud_c(array, tmp_path):
    levels = select_levels("pointcloud-c", [1, 5])
    export(array, tmp_path / "out", Export(levels, layout="pointcloud-c", points="same"))
    names = {path.stem for path in (tmp_path / "out").glob("*.h5")}
    assert names == {"clean"} | {f"{name.split('/')[1]}_{severity - 1}" for name, severity in levels}
    with h5py.File(tmp_path / "out/dropout_local_4.h5") as file:
        assert file["data"].shape == (70, 64, 3)
        assert file["data"].dtype == np.float32
        assert file["label"].shape == (70, 1)
        assert file["label"][:, 0].tolist() == [n % 40 for n in range(70)]
    assert [item.label for item in list_items(tmp_path / "out/clean.h5")] == [n % 40 for n in range(70)]


def test_attributes_follow_their_points(tmp_path):
    rng = np.random.default_rng(0)
    points = rng.normal(size=(300, 3)).astype(np.float32)
    normals = points / np.linalg.norm(points, axis=1, keepdims=True)
    cloud = Cloud(points, colors=np.abs(normals), labels=np.arange(300), normals=normals)
    write_cloud(tmp_path / "a.ply", cloud)
    export(tmp_path / "a.ply", tmp_path / "b.ply", Export((("background", 5),), frame="keep"))
    found = load_cloud(tmp_path / "b.ply")
    assert len(found) == 315
    assert found.labels.tolist() == [*range(300), *[-1] * 15]
    np.testing.assert_allclose(found.points[:300], points, atol=1e-5)
    np.testing.assert_allclose(found.colors[:300], np.abs(normals), atol=1 / 255)
    np.testing.assert_allclose(found.colors[300:], 0.5, atol=1 / 255)
    np.testing.assert_allclose(found.normals[:300], normals, atol=1e-4)
    assert not found.normals[300:].any()


@pytest.mark.parametrize("suffix", [".ply", ".npz"])
def test_fields_follow_their_points(tmp_path, suffix):
    """Of every type that a file may have; PLY has no 64-bit integers."""
    rng = np.random.default_rng(0)
    kinds = ["f2", "f4", "f8", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "?"]
    fields = {f"field_{kind}": (rng.random(300) * 100).astype(kind) for kind in kinds}
    np.savez(tmp_path / "a.npz", points=rng.normal(size=(300, 3)), **fields)
    export(tmp_path / "a.npz", tmp_path / f"b{suffix}", Export((("background", 5),)))
    found = load_cloud(tmp_path / f"b{suffix}").fields
    assert found.keys() == fields.keys()
    for name, values in fields.items():
        np.testing.assert_array_equal(found[name][:300], values, name)
        assert len(found[name]) == 315
        assert not found[name][300:].any()
    export(tmp_path / "a.npz", tmp_path / "out", Export((("uniform", 1),)))
    assert [path.name for path in (tmp_path / "out/uniform_1").iterdir()] == ["a.ply"]


def test_normals_turn_with_the_points(tmp_path):
    rng = np.random.default_rng(0)
    normals = rng.normal(size=(300, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    write_cloud(tmp_path / "a.npz", Cloud(normals, normals=normals))  # a sphere
    for name in ("rotation", "scale"):
        export(tmp_path / "a.npz", tmp_path / f"{name}.npz", Export(((name, 5),), frame="keep"))
        found = load_cloud(tmp_path / f"{name}.npz")
        centred = found.points - found.points.mean(axis=0)
        factors = np.linalg.svd(centred, full_matrices=False)[2]
        assert factors.shape == (3, 3)
        # The normal of a linear image A of the sphere at A x is along A^-T x.
        linear = np.linalg.lstsq(normals, centred, rcond=None)[0].T
        expected = np.linalg.inv(linear).T @ normals.T
        np.testing.assert_allclose(found.normals.T, expected / np.linalg.norm(expected, axis=0), atol=0.02)


def test_clouds_that_cannot_be_read_are_skipped_and_named(folder, tmp_path):
    (folder / "bed/broken.ply").write_text("ply\nformat")
    (folder / "bed/flat.npy").write_bytes((folder / "bed/a.npy").read_bytes())
    (folder / "bed/notes.md").write_text("words")
    levels = (("uniform", 1), ("occlusion", 1))
    assert export(folder, tmp_path / "out", Export(levels)) == 5
    skipped = json.loads((tmp_path / "out/manifest.json").read_text())["skipped"]
    assert {each["cloud"] for each in skipped} == {
        "bed/a.npy", "bed/flat.npy", "chair/b.npy", "bed/broken.ply", "bed/notes.md",
    }  # fmt: skip
    assert "needs a mesh" in next(each["reason"] for each in skipped if each["cloud"] == "bed/a.npy")


def test_a_run_resumes_and_other_options_are_refused(folder, tmp_path):
    export(folder, tmp_path / "out", Export(LEVELS))
    path = tmp_path / "out/uniform_2/bed/a.npy"
    path.write_text("kept")
    export(folder, tmp_path / "out", Export(LEVELS))
    assert path.read_text() == "kept"
    with pytest.raises(InputError, match=r"out: has clouds of other options.*--force"):
        export(folder, tmp_path / "out", Export(LEVELS, seed=1))
    export(folder, tmp_path / "out", Export(LEVELS, seed=1), force=True)
    assert np.load(path).shape == (200, 3)


def test_files_that_differ_in_their_extension_only(folder, tmp_path):
    np.save(folder / "chair/c.npy", np.random.default_rng(1).normal(size=(50, 3)))
    export(folder, tmp_path / "out", Export(LEVELS[:1]))
    assert {path.name for path in (tmp_path / "out/uniform_2/chair").iterdir()} == {
        "b.npy",
        "c.npy.npy",
        "c.off.npy",
    }


def test_levels():
    assert len(select_levels("all", range(1, 6))) == 115
    assert len(select_levels("modelnet40-c", [3])) == 16
    assert select_levels("uniform,jitter+cutout", [1, 2]) == (
        ("uniform", 1), ("uniform", 2), ("pointcloud-c/jitter+cutout", 1), ("pointcloud-c/jitter+cutout", 2),
    )  # fmt: skip
    with pytest.raises(InputError, match="6 is not a severity of 'uniform'; choose from 1 to 5"):
        select_levels("uniform", [6])
    with pytest.raises(InputError, match="'unifrom' is not a corruption; did you mean 'uniform'"):
        select_levels("unifrom", [1])


def test_bad_input_and_output(folder, array, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    cases = [
        (tmp_path / "no", tmp_path / "out", Export(LEVELS), (), "no: does not exist"),
        (tmp_path / "empty", tmp_path / "out", Export(LEVELS), (), "empty: has no clouds"),
        (folder, folder / "out", Export(LEVELS), (), "is inside"),
        (folder, tmp_path / "file/out", Export(LEVELS), (), "cannot be written"),
        (folder, tmp_path / "out", Export(LEVELS), ["x"], "has no cloud 'x'; the first is 'bed/a.npy'"),
        (folder, tmp_path / "out.npy", Export(LEVELS), (), r"give a directory for \d+ clouds at 2 levels"),
        (folder / "bed/a.npy", tmp_path / "a.stl", Export(LEVELS[:1]), (), "are written as .npy, .npz, .ply"),
        (folder / "bed/a.npy", tmp_path / "o", Export(LEVELS, layout="modelnet40-c"), (), "needs labels"),
        (folder, tmp_path / "o", Export(LEVELS, layout="modelnet40-c"), (), "give one with --points"),
    ]
    for source, target, options, only, message in cases:
        with pytest.raises(InputError, match=message):
            export(source, target, options, only=only)
    np.save(array.with_name("label.npy"), np.zeros((3, 1), np.uint8))
    with pytest.raises(InputError, match=r"label\.npy: has 3 labels, but data_original\.npy has 70 clouds"):
        list_items(array)


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_an_unwritable_output(folder, tmp_path):
    (tmp_path / "out").mkdir(mode=0o500)
    with pytest.raises(InputError, match="cannot be written"):
        export(folder, tmp_path / "out", Export(LEVELS))
