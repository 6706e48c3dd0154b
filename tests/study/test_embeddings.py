"""Embedding files: what is gathered from them, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from pointspider.core.errors import InputError
from pointspider.core.files import read_hdf5
from pointspider.study.embeddings import read_embeddings, read_split, write_embeddings


def write(path, ids, layer="pooled", width=3, value=None) -> None:
    """One class file with one variant; row i is i, i, …"""
    rows = np.repeat(np.arange(len(ids), dtype=np.float32)[:, None], width, axis=1)
    if value is not None:
        rows[0, 0] = value
    write_embeddings(path, [("original", ids, {layer: rows})], model="m", preset="p")


@pytest.fixture
def directory(tmp_path):
    write(tmp_path / "chair.h5", ["a", "b"])
    write(tmp_path / "table.h5", ["c", "d", "e"])
    return tmp_path


def test_rows_come_in_the_order_of_the_ids(directory):
    found = read_embeddings(sorted(directory.glob("*.h5")), "pooled", ["e", "b", "c"])
    np.testing.assert_array_equal(found, [[2, 2, 2], [1, 1, 1], [0, 0, 0]])
    assert found.dtype == np.float32


@pytest.mark.parametrize(
    ("layer", "ids", "message"),
    [
        ("pooled", ["a", "x", "y"], "2 of 3 clouds have no 'pooled' embedding, e.g. x"),
        ("projected", ["a"], r"chair\.h5: original has no layer 'projected'; it has pooled"),
    ],
)
def test_ids_and_layers_that_are_not_there_are_named(directory, layer, ids, message):
    with pytest.raises(InputError, match=message):
        read_embeddings(sorted(directory.glob("*.h5")), layer, ids)


@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_an_embedding_that_is_no_number_is_refused_naming_the_file(directory, value):
    write(directory / "chair.h5", ["a", "b"], value=value)
    with pytest.raises(InputError, match=r"chair\.h5: original/pooled has NaN or inf"):
        read_embeddings(sorted(directory.glob("*.h5")), "pooled", ["c"])


def test_embeddings_of_different_dimensions_are_refused(directory):
    write(directory / "table.h5", ["c"], width=4)
    with pytest.raises(InputError, match=r"'pooled' differ in width: \[\(3,\), \(4,\)\]"):
        read_embeddings(sorted(directory.glob("*.h5")), "pooled", ["a", "c"])


def test_a_column_of_the_manifest_takes_sides(directory):
    write(directory / "points.h5", ["a", "b", "c"], layer="global", width=2)
    manifest = pd.DataFrame(
        {
            "cloud_id": ["a", "b", "c"],
            "split": ["train", "train", "test"],
            "class_split": ["train", "test", "test"],
        }
    )
    images = [directory / "chair.h5", directory / "table.h5"]
    for column, test in (("split", [[2, 2]]), ("class_split", [[1, 1], [2, 2]])):
        x_train, y_train, x_test, y_test = read_split(
            manifest, [directory / "points.h5"], images, "pooled", column
        )
        assert len(x_train) == len(y_train) == 3 - len(test)
        np.testing.assert_array_equal(x_test, test)
        assert y_test.shape == (len(test), 3)


def test_embedding_files_name_their_model(directory):
    group = read_hdf5(directory / "chair.h5")["original"]
    assert group.attributes == {"model": "m", "preset": "p", "layers": "pooled"}
