"""A user's own clouds: every format, normalisation, roles, and an error for all that can be wrong."""

import h5py
import numpy as np
import pytest
import trimesh

from pointspider.clouds.corruptions.modelnet40c import corrupt
from pointspider.clouds.names import Variant
from pointspider.clouds.sources.folder import POOL, FolderSource, load_object
from pointspider.core.errors import InputError


def cloud(points: int = 200, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(points, 3)) * [1, 2, 3] + [10, 0, -5]


def open_folder(directory, classes=("chair",), evaluation=None, encoders=0, seed=1) -> FolderSource:
    return FolderSource(directory, classes, evaluation, encoders, seed)


@pytest.fixture
def chairs(tmp_path):
    folder = tmp_path / "chair"
    folder.mkdir()
    return folder


def load(folder, name):
    source = open_folder(folder.parent)
    return source.load("chair", [name])[0]


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
    points = (100 * cloud()).astype(dtype)
    np.save(chairs / "a.npy", np.hstack([points, np.full((200, 3), 7, dtype)]))
    pool, mesh = load(chairs, "a")
    assert pool.shape == (200, 3)
    assert_normalised(pool)
    np.testing.assert_allclose(pool, expected(points.astype(np.float64)), atol=1e-6)
    assert mesh is None


@pytest.mark.parametrize("encoding", ["ascii", "binary"])
def test_ply_of_points(chairs, encoding):
    points = cloud()
    trimesh.PointCloud(points).export(chairs / "a.ply", encoding=encoding)
    pool, mesh = load(chairs, "a")
    np.testing.assert_allclose(pool, expected(points), atol=1e-6)
    assert mesh is None


@pytest.mark.parametrize("name", ["a.off", "a.ply", "a.OFF"])
def test_meshes_are_sampled_by_area_and_kept(chairs, name):
    # A small plate far more finely meshed than a large one: points follow area, not triangles.
    small = trimesh.creation.box((1, 1, 1e-3)).subdivide().subdivide().subdivide()
    large = trimesh.creation.box((3, 3, 1e-3)).apply_translation((0, 0, 4))
    both = trimesh.util.concatenate([small, large])
    both.export(chairs / name, file_type=name[2:].lower())
    pool, mesh = load(chairs, "a")
    assert pool.shape == (POOL, 3)
    assert_normalised(pool)
    np.testing.assert_allclose((pool[:, 2] > 0).mean(), 0.9, atol=0.03)
    low, high = mesh.bounds
    assert (pool >= low - 1e-6).all()
    assert (pool <= high + 1e-6).all()
    np.testing.assert_allclose((high - low)[2] / (high - low)[0], (both.extents[2] / both.extents[0]))


def test_modelnet40_s_own_off_header(chairs):
    (chairs / "a.off").write_text(
        "OFF4 4 0\n0 0 0\n1 0 0\n0 1 0\n0 0 1\n3 0 1 2\n3 0 1 3\n3 0 2 3\n3 1 2 3\n"
    )
    pool, mesh = load(chairs, "a")
    assert pool.shape == (POOL, 3)
    assert len(mesh.faces) == 4


def test_hdf5_rows_are_objects(chairs):
    data = np.stack([cloud(50, seed) for seed in range(3)]).astype(np.float32)
    with h5py.File(chairs / "test0.h5", "w") as file:
        file["data"] = data
        file["label"] = np.zeros((3, 1), np.uint8)
    with h5py.File(chairs / "one.h5", "w") as file:
        file["data"] = data[0]
    source = open_folder(chairs.parent)
    assert source.objects()["object"].tolist() == ["one", "test0_0000", "test0_0001", "test0_0002"]
    (one, _), (last, _) = source.load("chair", ["one", "test0_0002"])
    np.testing.assert_allclose(one, expected(data[0].astype(np.float64)), atol=1e-6)
    np.testing.assert_allclose(last, expected(data[2].astype(np.float64)), atol=1e-6)


def test_few_points_become_a_full_cloud_and_corruptions_run(chairs):
    np.save(chairs / "a.npy", cloud(7))
    trimesh.creation.box((1, 2, 3)).export(chairs / "b.off")
    source = open_folder(chairs.parent)
    pools, meshes = zip(*source.load("chair", ["a", "b"]), strict=True)
    clouds = corrupt(Variant("original", 0), pools, meshes, ["chair/a", "chair/b"], 0)
    assert clouds.shape == (2, 1024, 3)
    assert len(np.unique(clouds[0], axis=0)) == 7
    assert corrupt(Variant("lidar", 1), pools[1:], meshes[1:], ["chair/b"], 0).shape == (1, 768, 3)
    assert source.released("chair", ["a"], Variant("uniform", 1)) is None


# ------------------------------------------------------------------------------------- roles and seeds


def test_roles(tmp_path):
    for class_name in ("chair", "my-lamp"):
        (tmp_path / class_name).mkdir()
        for number in range(6):
            np.save(tmp_path / class_name / f"{number}.npy", cloud(10, number))
        (tmp_path / class_name / ".DS_Store").write_text("")
    source = open_folder(tmp_path, ("my-lamp", "chair"), 3, 2)
    assert source.classes == ("chair", "my-lamp")
    counts = source.objects().groupby(["class", "role"]).size()
    assert counts["chair"].to_dict() == counts["my-lamp"].to_dict() == {"encoders": 2, "evaluation": 3}
    with pytest.raises(InputError, match="class 'chair' has 6 objects and needs 7"):
        open_folder(tmp_path, ("chair",), 5, 2)


def test_surface_points_depend_on_the_seed_alone(chairs):
    trimesh.creation.icosphere().export(chairs / "a.off")
    first, again, other = (
        open_folder(chairs.parent, seed=seed).load("chair", ["a"])[0][0] for seed in (1, 1, 2)
    )
    assert first.tobytes() == again.tobytes()
    assert not np.array_equal(first, other)


# ---------------------------------------------------------------------------------------------- errors


def bad(value, at=3):
    points = cloud(10)
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
        (np.ones((5, 2)), r"must be one array \(N, 3 or more\), not \(5, 2\)"),
        (np.ones(5), r"must be one array \(N, 3 or more\), not \(5,\)"),
        (np.full((5, 3), "x"), "points must be numbers"),
        (np.full((5, 3), None), "cannot be read"),
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
    with pytest.raises(InputError, match=f"{name}: (cannot be read|has no points)"):
        load(chairs, "a")


def test_truncated_ply(chairs):
    trimesh.PointCloud(cloud()).export(chairs / "a.ply")
    whole = (chairs / "a.ply").read_bytes()
    (chairs / "a.ply").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"a\.ply: cannot be read"):
        load(chairs, "a")


def test_a_broken_row_of_hdf5_is_named(chairs):
    with h5py.File(chairs / "a.h5", "w") as file:
        file["data"] = np.stack([cloud(10), bad(np.nan)])
    with pytest.raises(InputError, match=r"a\.h5 row 1: 1 of 10 points"):
        load(chairs, "a_0001")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"points": np.ones((2, 3))}, "cannot be read"),
        ({"data/x": np.ones((2, 3))}, "cannot be read"),
        ({"data": np.ones((2, 5, 4))}, r"'data' must be \(n, P, 3\) or \(P, 3\), not \(2, 5, 4\)"),
        ({"data": np.ones((0, 5, 3))}, "has no clouds"),
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
    with pytest.raises(InputError, match=r"chair: has no clouds; they are \.npy, \.ply, \.off, \.h5"):
        open_folder(chairs.parent)
    (chairs / "notes.txt").write_text("")
    with pytest.raises(InputError, match=r"notes\.txt: clouds are \.npy"):
        open_folder(chairs.parent)
    (chairs / "notes.txt").unlink()
    np.save(chairs / "a.npy", cloud())
    trimesh.creation.box().export(chairs / "a.off")
    with pytest.raises(InputError, match=r"a\.off: makes object 'a', as .*a\.npy does; rename one"):
        open_folder(chairs.parent)
    (chairs / "a.off").rename(chairs / "b c.off")
    with pytest.raises(InputError, match=r"b c\.off: name it with letters, digits"):
        open_folder(chairs.parent)


def test_vertices_of_no_face_do_not_belong_to_a_mesh(tmp_path):
    (tmp_path / "box").mkdir()
    box = trimesh.creation.box()
    stray = trimesh.Trimesh(np.vstack([box.vertices, [[50, 0, 0]]]), box.faces, process=False)
    stray.export(tmp_path / "box" / "a.off")
    _, mesh = load_object(tmp_path / "box" / "a.off", None, np.random.default_rng(0))
    assert len(mesh.vertices) == 8
    assert np.abs(mesh.bounds).max() < 1.2
