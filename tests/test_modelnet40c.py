"""The reader of the ModelNet40-C release, on a small release with its layout."""

from pathlib import Path

import numpy as np
import pytest

from pointspider.clouds.catalogue import CLEAN, MODELNET40_CLASSES, Variant, variants
from pointspider.clouds.modelnet40c import ModelNet40C, points_per_cloud
from pointspider.errors import InputError

LABELS = np.array([0, 8, 8, 0, 39, 8], dtype=np.uint8)[:, None]
VARIANTS = [*variants(["uniform", "lidar", "distortion"], [1, 5]), Variant("scale", 2)]
REAL = Path(__file__).parents[2] / "shared" / "real_data" / "modelnet40_c"


@pytest.fixture
def release(tmp_path) -> Path:
    rng = np.random.default_rng(0)
    np.save(tmp_path / "label.npy", LABELS)
    for variant in [CLEAN, *VARIANTS[:-1]]:
        dtype = np.float64 if variant.corruption == "distortion" else np.float32
        shape = (6, points_per_cloud(variant), 3)
        np.save(tmp_path / f"data_{variant}.npy", rng.uniform(-1, 1, shape).astype(dtype))
    return tmp_path


def open_release(directory, wanted=VARIANTS, classes=("airplane", "chair", "xbox"), evaluation=None):
    return ModelNet40C(directory, classes, evaluation, wanted, seed=1)


def test_objects_are_rows(release):
    source = open_release(release, classes=("chair", "airplane"))
    assert source.classes == ("airplane", "chair")
    objects = source.objects()
    assert objects["class"].tolist() == ["airplane"] * 2 + ["chair"] * 3
    assert objects["object"].tolist() == ["0000", "0003", "0001", "0002", "0005"]
    assert set(objects["role"]) == {"evaluation"}
    assert open_release(release, evaluation=1).objects().groupby("class").size().tolist() == [1, 1, 1]


def test_clouds_are_the_stored_ones(release):
    source = open_release(release)
    for variant in [CLEAN, *VARIANTS[:-1]]:
        clouds = source.released("chair", ["0005", "0001"], variant)
        stored = np.load(release / f"data_{variant}.npy")
        assert clouds.dtype == np.float32
        np.testing.assert_array_equal(clouds, stored[[5, 1]].astype(np.float32))
    pool = source.points("chair", ["0002"])[0]
    np.testing.assert_array_equal(pool, np.load(release / "data_original.npy")[2])
    assert source.released("chair", ["0005"], Variant("scale", 2)) is None
    assert source.meshes("chair", ["0005"]) == [None]


@pytest.mark.parametrize(
    ("variant", "points"),
    [
        (CLEAN, 1024),
        (Variant("uniform", 3), 1024),
        (Variant("lidar", 3), 768),
        (Variant("cutout", 5), 724),
        (Variant("density", 1), 949),
        (Variant("background", 5), 1075),
        (Variant("upsampling", 5), 2048),
    ],
)
def test_points_per_cloud(variant, points):
    assert points_per_cloud(variant) == points


@pytest.mark.parametrize("name", ["label.npy", "data_original.npy", "data_lidar_5.npy"])
def test_a_missing_file_says_where_it_comes_from(release, name):
    (release / name).unlink()
    with pytest.raises(
        InputError, match=rf"{name}: missing.*Zenodo record 6017834, modelnet40_c\.zip.*MD5 c4a7fffaa52c80b3"
    ):
        open_release(release)


@pytest.mark.parametrize("directory", [None, "no/such/place"])
def test_a_missing_directory_says_what_to_put_there(directory):
    with pytest.raises(InputError, match=rf"clouds\.directory: '{directory}' is not a directory.*Zenodo"):
        open_release(directory)


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("data_uniform_1.npy", np.zeros((6, 1000, 3), np.float32), r"not floats \(6, 1024, 3\)"),
        ("data_uniform_1.npy", np.zeros((5, 1024, 3), np.float32), r"not floats \(6, 1024, 3\)"),
        ("data_original.npy", np.zeros((6, 1024, 3), np.int64), r"int64 .* not floats"),
        ("label.npy", np.zeros((6, 1), np.float32), r"not \(n, 1\) integers"),
        ("label.npy", np.zeros((6, 2), np.uint8), r"not \(n, 1\) integers"),
        ("label.npy", np.full((6, 1), 40, np.uint8), "labels beyond 0 to 39"),
        ("label.npy", LABELS[:5], r"not floats \(5, 1024, 3\)"),
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
        source.released("chair", ["0001", "0005"], Variant("uniform", 5))


def test_a_class_without_objects_is_named(release):
    with pytest.raises(InputError, match="class 'vase' has 0 objects"):
        open_release(release, classes=("chair", "vase"))


@pytest.mark.skipif(not REAL.exists(), reason="the real test split is not here")
def test_the_real_test_split():
    source = ModelNet40C(REAL, MODELNET40_CLASSES, None, variants(["scale"], [1, 2, 3, 4, 5]), seed=1)
    counts = source.objects().groupby("class").size()
    assert counts.sum() == 2468
    assert len(counts) == 40
    assert counts["airplane"] == 100
    with pytest.raises(InputError, match=r"data_uniform_1\.npy: missing"):
        ModelNet40C(REAL, MODELNET40_CLASSES, None, [Variant("uniform", 1)], seed=1)
