"""Files: atomic when written, checked when read."""

import h5py
import numpy as np
import pandas as pd
import pytest

from pointspider.core.errors import InputError
from pointspider.core.files import (
    Group,
    atomic,
    content_hash,
    read_csv,
    read_hdf5,
    read_json,
    read_png,
    remove_empty_folders,
    write_csv,
    write_hdf5,
    write_json,
    write_png,
)
from pointspider.study.embeddings import read_embeddings, write_embeddings


def fail_halfway(target):
    with atomic(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError("boom")


def test_atomic_leaves_nothing_behind_when_the_block_fails(tmp_path):
    target = tmp_path / "deep" / "file.txt"
    with pytest.raises(RuntimeError, match="boom"):
        fail_halfway(target)
    assert list(target.parent.iterdir()) == []


def test_atomic_keeps_the_old_file_until_the_new_one_is_whole(tmp_path):
    target = tmp_path / "file.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError, match="boom"):
        fail_halfway(target)
    assert target.read_text() == "old"
    with atomic(target) as temporary:
        temporary.write_text("new")
    assert target.read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["file.txt"]


def test_empty_folders_are_removed_up_to_one_in_use(tmp_path):
    (tmp_path / "objects/none").mkdir(parents=True)
    (tmp_path / "classes/none").mkdir(parents=True)
    remove_empty_folders(tmp_path / "objects/none")
    assert [path.name for path in tmp_path.iterdir()] == ["classes"]
    (tmp_path / "classes/layer.safetensors").touch()
    remove_empty_folders(tmp_path / "classes")
    assert len(list(tmp_path.glob("classes/*"))) == 2


def test_png_round_trip_and_truncation(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    path = tmp_path / "image.png"
    write_png(path, image)
    np.testing.assert_array_equal(read_png(path), image)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(InputError, match=r"image\.png: not a whole image"):
        read_png(path)
    with pytest.raises(InputError, match=r"missing\.png"):
        read_png(tmp_path / "missing.png")
    with pytest.raises(TypeError, match="float64"):
        write_png(path, image / 255)


def test_hdf5_round_trip_same_bytes(tmp_path):
    groups = [
        (
            "uniform_1",
            Group({"points": np.ones((2, 3, 3), np.float32), "cloud_id": np.array(["a", "b"])}, {"n": 2}),
        ),
        ("original", Group({"points": np.zeros((0, 3, 3), np.float32)}, {})),
    ]
    for name in ("one.h5", "two.h5"):
        write_hdf5(tmp_path / name, iter(groups))
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "two.h5").read_bytes()
    found = read_hdf5(tmp_path / "one.h5")
    assert list(found) == ["uniform_1", "original"]
    assert found["uniform_1"].arrays["cloud_id"].tolist() == ["a", "b"]
    assert found["uniform_1"].arrays["points"].dtype == np.float32
    assert found["uniform_1"].attributes["n"] == 2


def test_hdf5_that_was_cut_or_changed_is_refused(tmp_path):
    path = tmp_path / "clouds.h5"
    write_hdf5(path, [("original", Group({"points": np.arange(3000.0)}, {}))])
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"clouds\.h5: not a whole HDF5 file"):
        read_hdf5(path)
    path.write_bytes(whole)
    with h5py.File(path, "r+") as file:
        file["original/points"][5] = -1.0
    with pytest.raises(InputError, match=r"original/points does not match its checksum"):
        read_hdf5(path)


def test_content_hash_sees_dtype_and_shape():
    zeros = np.zeros(4, np.float32)
    hashes = {content_hash(zeros), content_hash(zeros.astype(np.float64)), content_hash(zeros.reshape(2, 2))}
    assert len(hashes) == 3


def test_csv_keeps_leading_zeros_and_names_missing_columns(tmp_path):
    path = tmp_path / "objects.csv"
    write_csv(path, pd.DataFrame({"class": ["chair"], "object": ["0003"]}))
    assert read_csv(path, ["object"])["object"].tolist() == ["0003"]
    write_csv(path, pd.DataFrame({"class": ["02691156"], "object": ["NA"], "l1": [None]}))
    assert read_csv(path).iloc[0, :2].tolist() == ["02691156", "NA"]
    assert read_csv(path)["l1"].isna().all()
    with pytest.raises(InputError, match=r"objects\.csv: lacks the columns \['role'\]"):
        read_csv(path, ["role"])
    path.write_text("")
    with pytest.raises(InputError, match=r"objects\.csv: cannot be read as CSV"):
        read_csv(path)


def test_json_round_trip(tmp_path):
    write_json(tmp_path / "a.json", {"a": 1})
    assert read_json(tmp_path / "a.json") == {"a": 1}
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(InputError, match=r"a\.json: cannot be read as JSON"):
        read_json(tmp_path / "a.json")


@pytest.fixture
def embedding_file(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "chair.h5"
    variants = [
        (
            "original",
            ["chair/original/0", "chair/original/1"],
            {"pooled": rng.normal(size=(2, 4)).astype(np.float32)},
        ),
        ("uniform_1", ["chair/uniform_1/0"], {"pooled": rng.normal(size=(1, 4)).astype(np.float32)}),
    ]
    write_embeddings(path, variants, model="tiny", preset="embedded")
    return path, variants


def test_embeddings_are_gathered_in_the_order_asked_for(embedding_file):
    path, variants = embedding_file
    rows = read_embeddings([path], "pooled", ["chair/uniform_1/0", "chair/original/1"])
    np.testing.assert_array_equal(rows, [variants[1][2]["pooled"][0], variants[0][2]["pooled"][1]])
    assert rows.dtype == np.float32


def test_embedding_files_say_what_made_them(embedding_file):
    group = read_hdf5(embedding_file[0])["original"]
    assert group.attributes == {"model": "tiny", "preset": "embedded", "layers": "pooled"}


def test_embeddings_that_do_not_fit_are_refused(embedding_file, tmp_path):
    path, _ = embedding_file
    with pytest.raises(
        InputError, match=r"1 of 2 clouds have no 'pooled' embedding, e\.g\. chair/original/7"
    ):
        read_embeddings([path], "pooled", ["chair/original/0", "chair/original/7"])
    with pytest.raises(InputError, match="has no layer 'projected'; it has pooled"):
        read_embeddings([path], "projected", ["chair/original/0"])
    wide = tmp_path / "table.h5"
    write_embeddings(wide, [("original", ["t"], {"pooled": np.ones((1, 5), np.float32)})], "tiny", "embedded")
    with pytest.raises(InputError, match="differ in width"):
        read_embeddings([path, wide], "pooled", ["chair/original/0", "t"])
    write_embeddings(
        wide, [("original", ["t"], {"pooled": np.full((1, 4), np.nan, np.float32)})], "tiny", "embedded"
    )
    with pytest.raises(InputError, match=r"table\.h5: original/pooled holds NaN or inf"):
        read_embeddings([wide], "pooled", ["t"])
