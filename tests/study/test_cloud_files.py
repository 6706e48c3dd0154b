"""Reading clouds, renders, embeddings and curves from files."""

import numpy as np
import pandas as pd
import pytest

from pointspider.core.errors import InputError
from pointspider.core.files import Group, write_csv, write_hdf5, write_png
from pointspider.study.cloud_files import gather_clouds, manifest_ids, read_clouds
from pointspider.study.curves import read_curves, write_curve
from pointspider.study.embeddings import read_split, write_embeddings
from pointspider.study.renders import read_renders


@pytest.fixture
def classes(tmp_path):
    """Two class files: 3 chairs clean, 1 chair of 5 points, 2 cones clean."""
    rng = np.random.default_rng(0)
    clouds = {}
    for name, groups in (("chair", {"original": (3, 8), "cutout_1": (1, 5)}), ("cone", {"original": (2, 8)})):
        stored = []
        for level, (count, points) in groups.items():
            ids = np.array([f"{name}/{level}/{index}" for index in range(count)])
            values = rng.normal(size=(count, points, 3)).astype(np.float32)
            stored.append((level, Group({"cloud_id": ids, "points": values}, {})))
            clouds |= dict(zip(ids.tolist(), values, strict=True))
        write_hdf5(tmp_path / f"{name}.h5", stored)
    return [tmp_path / "chair.h5", tmp_path / "cone.h5"], clouds


def test_clouds_are_gathered_in_the_order_asked_for(classes):
    paths, clouds = classes
    ids = ["cone/original/1", "chair/original/2", "cone/original/0"]
    np.testing.assert_array_equal(gather_clouds(paths, ids), [clouds[name] for name in ids])


def test_clouds_that_cannot_be_gathered_are_named(classes):
    paths, _ = classes
    with pytest.raises(InputError, match=r"1 of 2 clouds were not built, e\.g\. cone/original/7"):
        gather_clouds(paths, ["cone/original/0", "cone/original/7"])
    with pytest.raises(InputError, match="differ in their number of points"):
        gather_clouds(paths, ["chair/original/0", "chair/cutout_1/0"])


def test_only_the_wanted_clouds_are_kept(classes):
    found = read_clouds(classes[0][0], {"chair/original/2"})
    assert {level: ids.tolist() for level, (ids, _) in found.items()} == {"original": ["chair/original/2"]}
    assert len(read_clouds(classes[0][0])) == 2


def test_manifest_ids_are_joined(tmp_path):
    for name, ids in (("a", ["x", "y"]), ("b", ["y", "z"])):
        write_csv(tmp_path / f"{name}.csv", pd.DataFrame({"cloud_id": ids}))
    assert manifest_ids([tmp_path / "a.csv", tmp_path / "b.csv"]) == {"x", "y", "z"}


def test_a_broken_render_names_the_directory_to_delete(tmp_path):
    image = np.full((4, 4, 3), 7, np.uint8)
    for name in ("chair/original/0", "cone/original/0"):
        write_png(tmp_path / f"{name}.png", image)
    assert read_renders(tmp_path, ["cone/original/0", "chair/original/0"]).shape == (2, 4, 4, 3)
    path = tmp_path / "cone/original/0.png"
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(
        InputError, match=rf"0\.png: not a complete image.*Delete the directory {tmp_path}/cone and run"
    ):
        read_renders(tmp_path, ["cone/original/0"])


def test_both_embeddings_are_read_by_split(tmp_path):
    rng = np.random.default_rng(0)
    ids = [f"chair/original/{index}" for index in range(3)]
    points, images = rng.normal(size=(3, 4)).astype("f4"), rng.normal(size=(3, 2)).astype("f4")
    write_embeddings(tmp_path / "points.h5", [("chair", ids, {"global": points})], "pointnet", "embedded")
    write_embeddings(tmp_path / "images.h5", [("chair", ids, {"pooled": images})], "clip", "embedded")
    manifest = pd.DataFrame({"cloud_id": ids, "split": ["test", "train", "train"]})
    found = read_split(manifest, tmp_path / "points.h5", tmp_path / "images.h5", "pooled")
    for values, expected in zip(found, (points[1:], images[1:], points[:1], images[:1]), strict=True):
        np.testing.assert_array_equal(values, expected)


def test_curves_of_all_seeds_are_read_and_a_training_without_epochs_has_none(tmp_path):
    paths = [tmp_path / "layer" / f"seed_{seed}.csv" for seed in (3, 4)]
    write_curve(paths[0], np.array([0.5, 0.25]), np.array([0.75, 1 / 3]))
    write_curve(paths[1], np.array([]), np.array([]))
    curves = read_curves(paths)
    assert curves.to_dict("list") == {
        "epoch": [1, 2],
        "train_l1": [0.5, 0.25],
        "test_l1": [0.75, 1 / 3],
        "predictor": ["LNORM", "LNORM"],
        "seed": [3, 3],
    }
    paths[1].write_text("")
    with pytest.raises(InputError, match=r"seed_4\.csv: .* Delete it and run again"):
        read_curves(paths)
