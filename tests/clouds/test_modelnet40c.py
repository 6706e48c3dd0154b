"""The reader of the ModelNet40-C release, on a small release with all of its files."""

from pathlib import Path

import numpy as np
import pytest

from pointspider.clouds.names import CLEAN, MODELNET40_CLASSES, CorruptionLevel
from pointspider.clouds.sources.modelnet40c import (
    RELEASED,
    ModelNet40C,
    ModelNet40CSettings,
    points_per_cloud,
)
from pointspider.core.errors import InputError

LABELS = np.array([0, 8, 8, 0, 39, 8], dtype=np.uint8)[:, None]
REAL = Path(__file__).parents[3] / "shared" / "real_data" / "modelnet40_c"


@pytest.fixture
def release(tmp_path) -> Path:
    rng = np.random.default_rng(0)
    np.save(tmp_path / "label.npy", LABELS)
    for level in RELEASED:
        dtype = np.float64 if level.corruption == "distortion" else np.float32
        shape = (6, points_per_cloud(level), 3)
        np.save(tmp_path / f"data_{level}.npy", rng.uniform(-1, 1, shape).astype(dtype))
    return tmp_path


def open_release(directory, classes=("airplane", "chair", "xbox")):
    return ModelNet40C(ModelNet40CSettings(directory=str(directory), classes=classes), seed=1)


def test_the_release_has_77_files_and_50_levels_of_1024_points(release):
    assert len(list(release.glob("*.npy"))) == len(RELEASED) + 1 == 77
    kept = [v for v in RELEASED if v != CLEAN and points_per_cloud(v) == 1024]
    assert len(kept) == 50
    assert {v.corruption for v in kept} == {
        "uniform", "gaussian", "impulse", "shear", "rotation",
        "density_inc", "distortion", "distortion_rbf", "distortion_rbf_inv", "occlusion",
    }  # fmt: skip


def test_a_release_one_folder_too_deep_is_explained(release):
    deeper = release / "modelnet40_c"
    deeper.mkdir()
    for path in release.glob("*.npy"):
        path.rename(deeper / path.name)
    with pytest.raises(InputError, match=f"one folder too deep; set clouds.directory to {deeper}"):
        open_release(release)


def test_objects_are_rows(release):
    source = open_release(release, classes=("chair", "airplane"))
    assert source.classes == ("airplane", "chair")
    assert source.objects() == {"test": {"airplane": ["0000", "0003"], "chair": ["0001", "0002", "0005"]}}


def test_clouds_are_the_stored_ones(release):
    source = open_release(release)
    for level in RELEASED:
        clouds = source.released("chair", ["0005", "0001"], level)
        stored = np.load(release / f"data_{level}.npy")
        assert clouds.dtype == np.float32
        np.testing.assert_array_equal(clouds, stored[[5, 1]].astype(np.float32))
    cloud = source.load("chair", "0002")
    np.testing.assert_array_equal(cloud.points, np.load(release / "data_original.npy")[2])
    assert cloud.mesh is None
    assert source.released("chair", ["0005"], CorruptionLevel("scale", 2)) is None


def test_files_are_mapped_not_read(release):
    source = open_release(release)
    assert all(isinstance(array, np.memmap) for array in source._arrays.values())


@pytest.mark.parametrize(
    ("level", "points"),
    [
        (CLEAN, 1024),
        (CorruptionLevel("uniform", 3), 1024),
        (CorruptionLevel("lidar", 3), 768),
        (CorruptionLevel("cutout", 5), 724),
        (CorruptionLevel("density", 1), 949),
        (CorruptionLevel("background", 5), 1075),
        (CorruptionLevel("upsampling", 5), 2048),
    ],
)
def test_points_per_cloud(level, points):
    assert points_per_cloud(level) == points


def test_everything_that_is_wrong_is_told_at_once_with_where_the_release_comes_from(release):
    (release / "data_lidar_5.npy").unlink()
    (release / "data_shear_2.npy").write_bytes(b"text")
    np.save(release / "data_uniform_1.npy", np.zeros((6, 1023, 3), np.float32))
    with pytest.raises(InputError) as raised:
        open_release(release)
    message = str(raised.value)
    assert "3 of the release's 77 files are not what they should be" in message
    assert "modelnet40_c.zip of Zenodo record 6017834 (data/sources.csv" in message
    assert "data_lidar_5.npy: missing" in message
    assert "data_shear_2.npy: cannot be read" in message
    assert "data_uniform_1.npy: float32 (6, 1023, 3), not floats (6, 1024, 3)" in message


def test_a_missing_directory_says_what_to_unpack():
    with pytest.raises(InputError, match=r"clouds\.directory: 'no/such/place' is not a directory.*Zenodo"):
        open_release("no/such/place")


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("data_uniform_1.npy", np.zeros((5, 1024, 3), np.float32), r"not floats \(6, 1024, 3\)"),
        ("data_original.npy", np.zeros((6, 1024, 3), np.int64), r"int64 .* not floats"),
        ("data_original.npy", np.float32(1), "a single number"),
        ("label.npy", np.zeros((6, 1), np.float32), r"not \(n, 1\) integers"),
        ("label.npy", np.zeros((6, 2), np.uint8), r"not \(n, 1\) integers"),
        ("label.npy", np.full((6, 1), 40, np.uint8), "labels beyond 0 to 39"),
        ("label.npy", LABELS[:5], r"76 of the release's 77 files(.|\n)*not floats \(5, 1024, 3\)"),
    ],
)
def test_wrong_shapes_and_types_are_refused(release, name, array, message):
    np.save(release / name, array)
    with pytest.raises(InputError, match=message):
        open_release(release)


def test_truncated_and_broken_files_are_refused(release):
    path = release / "data_uniform_5.npy"
    whole = path.read_bytes()
    for content in (whole[:1000], b"", b"text", b"PK\x03\x04 an archive"):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"data_uniform_5\.npy: cannot be read"):
            open_release(release)
    path.write_bytes(whole)
    array = np.load(path)
    array[5, 7] = np.nan
    np.save(path, array)
    source = open_release(release)
    with pytest.raises(InputError, match=r"data_uniform_5\.npy row 0005: 1 of 1024 points have NaN"):
        source.released("chair", ["0001", "0005"], CorruptionLevel("uniform", 5))


@pytest.mark.skipif(not REAL.exists(), reason="the real test split is not here")
def test_the_real_test_split():
    """The real clean clouds and labels are in order; the 75 files that are not here are listed."""
    with pytest.raises(InputError, match="75 of the release's 77 files") as raised:
        open_release(REAL, MODELNET40_CLASSES)
    assert str(raised.value).count(": missing") == 75
