"""Nearest neighbours against brute force, across chunk borders; directions."""

import numpy as np
import pytest

from pointspider.core.errors import InputError
from pointspider.core.vectors import directions, nearest, unit_rows


def brute_force(queries, gallery, k):
    """Cosines in float64, sorted row by row; ties in the gallery's order."""
    a = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    b = gallery / np.linalg.norm(gallery, axis=1, keepdims=True)
    cosine = a.astype(np.float64) @ b.T
    order = np.argsort(-cosine, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(cosine, order, axis=1)


@pytest.mark.parametrize("chunk", [1, 7, 4096])
@pytest.mark.parametrize("k", [1, 5, 40])
def test_nearest_equals_brute_force(k, chunk):
    rng = np.random.default_rng(0)
    queries, gallery = rng.normal(size=(13, 6)), rng.normal(size=(40, 6))
    indices, similarities = nearest(queries, gallery, k, chunk)
    assert (indices.dtype, similarities.dtype) == (np.int64, np.float32)
    expected, cosine = brute_force(queries, gallery, k)
    assert (indices == expected).all()
    np.testing.assert_allclose(similarities, cosine, atol=1e-6)


@pytest.mark.parametrize("chunk", [2, 3, 4096])
def test_ties_are_in_the_gallerys_order(chunk):
    gallery = np.array([[0, 1], [1, 0], [2, 0], [0, 3], [4, 0], [-1, 0]], np.float32)
    indices, similarities = nearest(np.array([[1, 0], [0, 1]], np.float32), gallery, 5, chunk)
    assert indices.tolist() == [[1, 2, 4, 0, 3], [0, 3, 1, 2, 4]]
    assert similarities[0].tolist() == [1, 1, 1, 0, 0]


@pytest.mark.parametrize(
    ("queries", "gallery", "k", "message"),
    [
        (np.ones((1, 3)), np.ones((2, 4)), 1, "queries are 3 wide but the gallery is 4 wide"),
        (np.ones((1, 3)), np.ones((2, 3)), 3, "3 nearest of 2 rows; choose 1 to 2"),
        (np.ones((1, 3)), np.ones((2, 3)), 0, "k: 0"),
        (np.ones((0, 3)), np.ones((2, 3)), 1, r"queries: the shape is \(0, 3\)"),
        (np.ones(3), np.ones((2, 3)), 1, r"queries: the shape is \(3,\)"),
        (np.ones((1, 3)), np.array([[1, 2, 3], [0, 0, 0]]), 1, "gallery: row 1 is zero"),
        (np.array([[np.inf, 1, 1]]), np.ones((2, 3)), 1, "queries: row 0 is zero, NaN or inf"),
    ],
)
def test_bad_searches_are_refused(queries, gallery, k, message):
    with pytest.raises(InputError, match=message):
        nearest(queries, gallery, k)


def test_unit_rows():
    rows = unit_rows(np.array([[3, 4], [0, -2]]), "rows")
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0, -1]], rtol=1e-6)


def test_directions():
    assert directions(np.array([[3, 4], [0, 0]], np.float32)).tolist() == [[0.6, 0.8], [0, 0]]
