"""Folders of clouds: formats, scaling, listing, and an error for everything that can be wrong."""

import h5py
import numpy as np
import pytest
import trimesh

from pointspider.clouds.corruptions.engine import corrupt_clouds
from pointspider.clouds.names import CLEAN, CorruptionLevel
from pointspider.clouds.sources.folder import POOL, FolderSettings, FolderSource, load_object
from pointspider.core.errors import InputError


def random_points(points: int = 200, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(points, 3)) * [1, 2, 3] + [10, 0, -5]


def open_folder(directory, classes=("chair",), seed=1) -> FolderSource:
    return FolderSource(FolderSettings(directory=str(directory), classes=classes), seed)


@pytest.fixture
def chairs(tmp_path):
    folder = tmp_path / "chair"
    folder.mkdir()
    (tmp_path / "another_class").mkdir()
    return folder


def load(folder, name):
    return open_folder(folder.parent).load("chair", name)


def assert_normalised(points):
    assert points.dtype == np.float32
    assert points.ndim == 2
    np.testing.assert_allclose(points.astype(np.float64).mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1).max(), 1, rtol=1e-6)


# --------------------------------------------------------------------------------------------- formats


def expected(points):
    centred = points - points.mean(axis=0)
    return centred / np.sqrt((centred**2).sum(axis=1)).max()


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int32])
def test_npy_takes_the_first_three_columns(chairs, dtype):
    points = (100 * random_points()).astype(dtype)
    np.save(chairs / "a.npy", np.hstack([points, np.full((200, 3), 7, dtype)]))
    cloud = load(chairs, "a")
    assert len(cloud) == 200
    assert_normalised(cloud.points)
    np.testing.assert_allclose(cloud.points, expected(points.astype(np.float64)), atol=1e-6)
    assert cloud.mesh is None


@pytest.mark.parametrize("encoding", ["ascii", "binary"])
def test_ply_of_points(chairs, encoding):
    points = random_points()
    trimesh.PointCloud(points).export(chairs / "a.ply", encoding=encoding)
    cloud = load(chairs, "a")
    np.testing.assert_allclose(cloud.points, expected(points), atol=1e-6)
    assert cloud.mesh is None


@pytest.mark.parametrize("name", ["a.off", "a.ply", "a.OFF"])
def test_meshes_are_sampled_by_area_and_kept(chairs, name):
    # A small plate far more finely meshed than a large one: points follow area, not triangles.
    small = trimesh.creation.box((1, 1, 1e-3)).subdivide().subdivide().subdivide()
    large = trimesh.creation.box((3, 3, 1e-3)).apply_translation((0, 0, 4))
    both = trimesh.util.concatenate([small, large])
    both.export(chairs / name, file_type=name[2:].lower())
    cloud = load(chairs, "a")
    assert len(cloud) == POOL
    assert_normalised(cloud.points)
    np.testing.assert_allclose((cloud.points[:, 2] > 0).mean(), 0.9, atol=0.03)
    low, high = cloud.mesh.surface.bounds
    assert (cloud.points >= low - 1e-6).all()
    assert (cloud.points <= high + 1e-6).all()
    np.testing.assert_allclose((high - low)[2] / (high - low)[0], (both.extents[2] / both.extents[0]))


def test_modelnet40_s_own_off_header(chairs):
    (chairs / "a.off").write_text(
        "OFF4 4 0\n0 0 0\n1 0 0\n0 1 0\n0 0 1\n3 0 1 2\n3 0 1 3\n3 0 2 3\n3 1 2 3\n"
    )
    cloud = load(chairs, "a")
    assert len(cloud) == POOL
    assert len(cloud.mesh.faces) == 4


def test_hdf5_rows_are_objects(chairs):
    data = np.stack([random_points(50, seed) for seed in range(3)]).astype(np.float32)
    with h5py.File(chairs / "test0.h5", "w") as file:
        file["data"] = data
        file["label"] = np.zeros((3, 1), np.uint8)
    with h5py.File(chairs / "one.h5", "w") as file:
        file["data"] = data[0]
    source = open_folder(chairs.parent)
    assert source.objects()["all"]["chair"] == ["one", "test0_0000", "test0_0001", "test0_0002"]
    one, last = (source.load("chair", name).points for name in ("one", "test0_0002"))
    np.testing.assert_allclose(one, expected(data[0].astype(np.float64)), atol=1e-6)
    np.testing.assert_allclose(last, expected(data[2].astype(np.float64)), atol=1e-6)


def test_few_points_become_a_full_cloud_and_corruptions_run(chairs):
    np.save(chairs / "a.npy", random_points(7))
    trimesh.creation.box((1, 2, 3)).export(chairs / "b.off")
    source = open_folder(chairs.parent)
    loaded = [source.load("chair", name) for name in ("a", "b")]
    pools, meshes = [cloud.points for cloud in loaded], [cloud.mesh for cloud in loaded]
    clouds = corrupt_clouds(CLEAN, pools, meshes, ["chair/a", "chair/b"], 0)
    assert clouds.shape == (2, 1024, 3)
    assert len(np.unique(clouds[0], axis=0)) == 7
    lidar = corrupt_clouds(CorruptionLevel("lidar", 1), pools[1:], meshes[1:], ["chair/b"], 0)
    assert lidar.shape == (1, 768, 3)
    assert source.released("chair", ["a"], CorruptionLevel("uniform", 1)) is None


# --------------------------------------------------------------------------------- listing and seeds


def test_hidden_files_and_companions_are_skipped_and_classes_sorted(tmp_path):
    for class_name in ("chair", "my-lamp"):
        (tmp_path / class_name).mkdir()
        for number in range(6):
            np.save(tmp_path / class_name / f"{number}.npy", random_points(10, number))
        for name in (".DS_Store", "._0.npy", "README", "License.txt", "Thumbs.db", "desktop.ini"):
            (tmp_path / class_name / name).write_text("")
    source = open_folder(tmp_path, ("my-lamp", "chair"))
    assert source.classes == ("chair", "my-lamp")
    assert source.objects() == {"all": {name: list("012345") for name in source.classes}}
    assert len(source.input_files(FolderSettings(directory=str(tmp_path)), "chair")) == 6
    assert len(source.input_files(FolderSettings(directory=str(tmp_path)))) == 12


def test_files_outside_of_the_classes_are_not_read(tmp_path):
    """A README or .DS_Store must not run jobs again; a class may be a link to a folder."""
    settings = FolderSettings(directory=str(tmp_path / "clouds"), classes=("bed", "mug"))
    for name in ("clouds/bed", "clouds/spare", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
        np.save(tmp_path / name / "a.npy", random_points(20, 0))
    (tmp_path / "clouds/mug").symlink_to(tmp_path / "elsewhere")
    for name in ("README.md", ".DS_Store", "bed/.DS_Store"):
        (tmp_path / "clouds" / name).touch()
    files = [str(tmp_path / "clouds" / name) for name in ("bed/a.npy", "mug/a.npy")]
    assert FolderSource.input_files(settings) == files
    assert FolderSource.input_files(settings, "mug") == files[1:]
    assert FolderSource(settings, 1).objects() == {"all": {"bed": ["a"], "mug": ["a"]}}


def test_labels_of_hdf5_files_in_the_directory_are_classes(tmp_path):
    for stem, labels in (("train0", [[1], [0], [1]]), ("test0", [[0], [2], [1]])):
        with h5py.File(tmp_path / f"{stem}.h5", "w") as file:
            file["data"] = np.stack([random_points(20, seed) for seed in range(3)])
            file["label"] = np.array(labels)
    (tmp_path / "shape_names.txt").write_text("bed\nmug\n")
    source = FolderSource(FolderSettings(directory=str(tmp_path)), 1)
    assert source.objects()["all"] == {
        "bed": ["test0_0000", "train0_0001"],
        "class_02": ["test0_0001"],
        "mug": ["test0_0002", "train0_0000", "train0_0002"],
    }
    expected_points = expected(random_points(20, 2))
    np.testing.assert_allclose(source.load("mug", "train0_0002").points, expected_points, atol=1e-6)
    with h5py.File(tmp_path / "test0.h5", "r+") as file:
        del file["label"]
    with pytest.raises(InputError, match=r"test0\.h5: has no dataset 'label'"):
        FolderSource(FolderSettings(directory=str(tmp_path)), 1)


def test_surface_points_depend_on_the_seed_alone(chairs):
    trimesh.creation.icosphere().export(chairs / "a.off")
    first, again, other = (
        open_folder(chairs.parent, seed=seed).load("chair", "a").points for seed in (1, 1, 2)
    )
    assert first.tobytes() == again.tobytes()
    assert not np.array_equal(first, other)


# ---------------------------------------------------------------------------------------------- errors


def bad(value, at=3):
    points = random_points(10)
    points[at] = value
    return points


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (bad(np.nan), "1 of 10 points have NaN or inf"),
        (bad(np.inf), "1 of 10 points have NaN or inf"),
        (np.ones((5, 3)), "all of its 5 points coincide"),
        (np.ones((1, 3)), "all of its 1 points coincide"),
        (np.ones((0, 3)), "has no points"),
        (np.ones((5, 2)), r"must be \(N, 3 or more\) or .*, not \(5, 2\)"),
        (np.ones(5), r"must be \(N, 3 or more\) or .*, not \(5,\)"),
        (np.ones((3, 1024)), r"its array is \(3, 1024\); points are rows, \(N, 3\): transpose it"),
        (np.full((5, 3), "x"), "points must be numbers"),
        (np.full((5, 3), None), "has Python objects, which are not loaded"),
        (bad(1e308) * [1, 1, -1], "are too large, too small or too far"),
        (random_points(10) * 1e-310, "are too large, too small or too far"),
        (np.arange(30).reshape(10, 3) + 2**62, "all of its 10 points coincide"),
    ],
)
def test_bad_arrays_name_the_file(chairs, array, message):
    np.save(chairs / "a.npy", array, allow_pickle=True)
    with pytest.raises(InputError, match=rf"a\.npy.*{message}"):
        load(chairs, "a")


@pytest.mark.parametrize("name", ["a.npy", "a.ply", "a.off", "a.h5"])
@pytest.mark.parametrize(
    "content", [b"", b"not a cloud", b"\x93NUMPY\x01\x00broken", b"OFF\n3 1", b"ply\nformat"]
)
def test_unreadable_files_are_named(chairs, name, content):
    (chairs / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{name}: (cannot be read|has no points|.*is it complete)"):
        load(chairs, "a")


def test_truncated_ply(chairs):
    trimesh.PointCloud(random_points()).export(chairs / "a.ply")
    whole = (chairs / "a.ply").read_bytes()
    (chairs / "a.ply").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"a\.ply: ends within its elements 'vertex'; is it complete"):
        load(chairs, "a")


def test_a_broken_row_of_hdf5_is_named(chairs):
    with h5py.File(chairs / "a.h5", "w") as file:
        file["data"] = np.stack([random_points(10), bad(np.nan)])
    with pytest.raises(InputError, match=r"a\.h5 row 1: 1 of 10 points"):
        load(chairs, "a_0001")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"points": np.ones((2, 3))}, "has no dataset 'data', but points"),
        ({"data/x": np.ones((2, 3))}, "has no dataset 'data'"),
        ({"data": np.ones((2, 5, 4))}, r"'data' must be \(n, P, 3\) or \(P, 3\), not \(2, 5, 4\)"),
        ({"data": np.ones((0, 5, 3))}, "has no points"),
    ],
)
def test_hdf5_of_another_layout(chairs, content, message):
    with h5py.File(chairs / "a.h5", "w") as file:
        file.update(content)
    with pytest.raises(InputError, match=message):
        open_folder(chairs.parent)


def test_meshes_without_area_or_with_nan(chairs):
    (chairs / "a.off").write_text("OFF\n3 1 0\n0 0 0\n1 0 0\n2 0 0\n3 0 1 2\n")
    with pytest.raises(InputError, match=r"a\.off: its mesh has no area"):
        load(chairs, "a")
    (chairs / "a.off").write_text("OFF\n3 1 0\n0 0 nan\n1 0 0\n0 1 0\n3 0 1 2\n")
    with pytest.raises(InputError, match=r"a\.off: 1 of 3 points have NaN"):
        load(chairs, "a")


def test_listing_errors(chairs):
    with pytest.raises(InputError, match=r"chair: has no clouds; they are .*\.npy"):
        open_folder(chairs.parent)
    (chairs / "notes.md").write_text("# about the chairs")
    with pytest.raises(InputError, match=r"notes\.md: its format is unknown; if it is one of .*npy"):
        open_folder(chairs.parent)
    (chairs / "notes.md").unlink()
    np.save(chairs / "a.npy", random_points())
    trimesh.creation.box().export(chairs / "a.off")
    with pytest.raises(InputError, match=r"a\.off: makes object 'a', as .*a\.npy does; rename one"):
        open_folder(chairs.parent)
    (chairs / "a.off").rename(chairs / "b c.off")
    with pytest.raises(InputError, match=r"b c\.off: name it with letters, digits"):
        open_folder(chairs.parent)


def test_vertices_of_no_face_do_not_belong_to_a_mesh(tmp_path):
    box = trimesh.creation.box()
    stray = trimesh.Trimesh(np.vstack([box.vertices, [[50, 0, 0]]]), box.faces, process=False)
    stray.export(tmp_path / "a.off")
    mesh = load_object(tmp_path / "a.off", None, np.random.default_rng(0)).mesh
    assert len(mesh.vertices) == 8
    assert np.abs(mesh.vertices).max() < 1.2


def test_an_object_that_is_gone_is_named(chairs):
    np.save(chairs / "a.npy", random_points())
    source = open_folder(chairs.parent)
    with pytest.raises(InputError, match=r"chair: object 'b', which was listed before, is gone"):
        source.load("chair", "b")


def test_class_folders_may_be_links(tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "clouds/cone").mkdir(parents=True)
    for folder in ("store", "clouds/cone"):
        np.save(tmp_path / folder / "a.npy", random_points())
    (tmp_path / "clouds/chair").symlink_to(tmp_path / "store")
    settings = FolderSettings(directory=str(tmp_path / "clouds"), classes="all")
    assert FolderSource.list_classes(settings) == ["chair", "cone"]
    assert FolderSource.input_files(settings, "chair") == [str(tmp_path / "clouds/chair/a.npy")]
    assert open_folder(tmp_path / "clouds").load("chair", "a").points.shape == (200, 3)
