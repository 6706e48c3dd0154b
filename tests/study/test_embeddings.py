"""Embedding files: what is gathered from them, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from pointspider.core.errors import InputError
from pointspider.core.files import read_hdf5
from pointspider.study.embeddings import read_embeddings, read_split, write_embeddings


def write(path, classes, layer="pooled", value=None) -> None:
    """{class: (ids, width)}; row i of a class is i, i, …"""

    def rows(ids, width):
        values = np.repeat(np.arange(len(ids), dtype=np.float32)[:, None], width, axis=1)
        values[0, 0] = values[0, 0] if value is None else value
        return values

    parts = [(name, ids, {layer: rows(ids, width)}) for name, (ids, width) in classes.items()]
    write_embeddings(path, parts, model="m", preset="p")


TWO = {"chair": (["a", "b"], 3), "table": (["c", "d", "e"], 3)}


@pytest.fixture
def path(tmp_path):
    write(tmp_path / "images.h5", TWO)
    return tmp_path / "images.h5"


def test_rows_come_in_the_order_of_the_ids(path):
    found = read_embeddings(path, "pooled", ["e", "b", "c"])
    np.testing.assert_array_equal(found, [[2, 2, 2], [1, 1, 1], [0, 0, 0]])
    assert found.dtype == np.float32


@pytest.mark.parametrize(
    ("layer", "ids", "message"),
    [
        ("pooled", ["a", "x", "y"], r"images\.h5: 2 of 3 clouds have no 'pooled' embedding, e.g. x"),
        ("projected", ["a"], r"images\.h5: chair has no layer 'projected'; it has pooled"),
    ],
)
def test_ids_and_layers_that_are_not_there_are_named(path, layer, ids, message):
    with pytest.raises(InputError, match=message):
        read_embeddings(path, layer, ids)


@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_an_embedding_that_is_no_number_is_refused_naming_the_file(path, value):
    write(path, TWO, value=value)
    with pytest.raises(InputError, match=r"images\.h5: chair/pooled has NaN or inf"):
        read_embeddings(path, "pooled", ["d"])


def test_embeddings_of_different_dimensions_are_refused(path):
    write(path, TWO | {"table": (["c"], 4)})
    with pytest.raises(InputError, match=r"images\.h5: the rows of layer 'pooled' differ in width: \[3, 4\]"):
        read_embeddings(path, "pooled", ["a", "c"])


def test_a_column_of_the_manifest_takes_sides(path):
    write(path.with_name("points.h5"), {"chair": (["a", "b", "c"], 2)}, layer="global")
    manifest = pd.DataFrame(
        {
            "cloud_id": ["a", "b", "c"],
            "split": ["train", "train", "test"],
            "class_split": ["train", "test", "test"],
        }
    )
    for column, test in (("split", [[2, 2]]), ("class_split", [[1, 1], [2, 2]])):
        x_train, y_train, x_test, y_test = read_split(
            manifest, path.with_name("points.h5"), path, "pooled", column
        )
        assert len(x_train) == len(y_train) == 3 - len(test)
        np.testing.assert_array_equal(x_test, test)
        assert y_test.shape == (len(test), 3)


def test_embedding_files_name_their_model(path):
    groups = read_hdf5(path, ())
    assert list(groups) == ["chair", "table"]
    assert all(
        group.attributes == {"model": "m", "preset": "p", "layers": "pooled"} for group in groups.values()
    )
    assert all(not group.arrays for group in groups.values())
