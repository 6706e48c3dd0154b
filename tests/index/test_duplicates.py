"""Pairs against brute force, groups against SciPy's clustering, and copies of clouds."""

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse.csgraph import connected_components

from pointspider.core.errors import InputError
from pointspider.index import duplicates
from pointspider.index.clouds import describe
from pointspider.index.duplicates import (
    Pairs,
    complete_groups,
    component_groups,
    exact_groups,
    near_pairs,
    pair_groups,
)


def unit(values):
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)


def clustered(n, width, rank=None, seed=0):
    rng = np.random.default_rng(seed)
    rank = rank or width
    centres = rng.normal(size=(max(2, n // 4), rank))
    rows = centres[rng.integers(len(centres), size=n)] + 0.1 * rng.normal(size=(n, rank))
    return unit(rows @ rng.normal(size=(rank, width)))


@pytest.mark.parametrize("chunk", [7, 64, 4096])
@pytest.mark.parametrize(("width", "rank"), [(8, None), (256, 20)], ids=["in full", "by bounds"])
@pytest.mark.parametrize("threshold", [0.9, 0.98, 0.995])
def test_near_pairs_equal_brute_force(threshold, width, rank, chunk):
    rows = clustered(120, width, rank)
    pairs = near_pairs([rows[:50], rows[50:]], threshold, chunk=chunk)
    cosines = rows.astype(np.float64) @ rows.T.astype(np.float64)
    expected = np.argwhere(np.triu(cosines >= threshold, 1))
    order = np.lexsort(pairs.rows.T[::-1])
    np.testing.assert_array_equal(pairs.rows[order], expected)
    np.testing.assert_allclose(pairs.similarities[order], cosines[tuple(expected.T)], atol=1e-6)
    assert len(expected) > 10


def test_bounds_need_fewer_columns_than_the_rows():
    rows = clustered(500, 256, 20)
    bounds = duplicates._bounds([rows], 0.99, 100)
    assert bounds.shape[1] < 70
    assert (bounds @ bounds.T >= rows @ rows.T - 1e-5).all()


def test_pairs_between_two_parts():
    rows = clustered(60, 8)
    part = np.arange(60) < 20
    pairs = near_pairs([rows], 0.95, (part, ~part), chunk=16)
    every = near_pairs([rows], 0.95)
    crossing = part[every.rows[:, 0]] != part[every.rows[:, 1]]
    assert {*map(tuple, pairs.rows.tolist())} == {*map(tuple, every.rows[crossing].tolist())}
    assert 0 < len(pairs) < len(every)


@pytest.mark.parametrize("threshold", [0, 1.01, np.nan])
def test_a_threshold_out_of_range_is_refused(threshold):
    with pytest.raises(InputError, match="threshold"):
        near_pairs([np.ones((2, 2), np.float32)], threshold)


def test_too_many_pairs_are_refused(monkeypatch):
    monkeypatch.setattr(duplicates, "MOST_PAIRS", 10)
    with pytest.raises(InputError, match="more than 10 pairs among 6 clouds; raise it"):
        near_pairs([unit(np.ones((6, 4)))], 0.9)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("threshold", [0.7, 0.9, 0.97])
def test_complete_groups_equal_scipy(threshold, seed):
    rows = clustered(60, 4, seed=seed)
    groups = complete_groups(near_pairs([rows], threshold))
    distances = 1 - np.clip(rows.astype(np.float64) @ rows.T.astype(np.float64), -1, 1)
    tree = linkage(distances[np.triu_indices(60, 1)], "complete")
    labels = fcluster(tree, 1 - threshold, "distance")
    expected = {tuple(np.flatnonzero(labels == label)) for label in labels}
    assert {tuple(g.rows) for g in groups} == {members for members in expected if len(members) > 1}
    for group in groups:
        block = 1 - distances[np.ix_(group.rows, group.rows)]
        assert group.weakest == pytest.approx(block.min(), abs=1e-6)
        assert group.weakest >= threshold


def test_components_chain_and_complete_groups_do_not():
    angle = np.radians([0, 90, 8, 180, 16, 91])
    rows = unit(np.stack([np.cos(angle), np.sin(angle)], axis=1))
    pairs = near_pairs([rows], np.cos(np.radians(9)))
    assert [g.rows.tolist() for g in component_groups(pairs, [rows])] == [[0, 2, 4], [1, 5]]
    assert component_groups(pairs, [rows])[0].weakest == pytest.approx(np.cos(np.radians(16)))
    assert sorted(g.rows.tolist() for g in complete_groups(pairs)) in ([[0, 2], [1, 5]], [[1, 5], [2, 4]])
    assert pair_groups(pairs)[0].rows.tolist() == [1, 5]


def test_components_equal_scipy():
    rows = clustered(80, 4)
    groups = component_groups(near_pairs([rows], 0.95), [rows])
    labels = connected_components(rows @ rows.T >= 0.95)[1]
    sizes = np.bincount(labels)
    assert sum(len(g.rows) for g in groups) == sizes[sizes > 1].sum()
    assert len(groups) == (sizes > 1).sum()


def test_no_pairs_give_no_groups():
    empty = Pairs(np.zeros((0, 2), np.int64), np.zeros(0, np.float32))
    assert complete_groups(empty) == component_groups(empty, [np.eye(3, dtype=np.float32)]) == []


def test_copies_are_told_from_identical_clouds():
    rng = np.random.default_rng(0)
    cloud, other = rng.normal(size=(2, 500, 3)).astype(np.float32)
    clouds = [
        cloud,
        other,
        rng.permutation(cloud),  # reordered
        cloud * 7,  # scaled
        rng.permutation(cloud + np.float32(40)),  # moved, which rounds
        cloud * [1, 1, 1.01],  # stretched
        cloud[:-1],  # a point less
    ]
    items = [describe(points) for points in clouds]
    groups = exact_groups(
        np.array([item["points_hash"].encode() for item in items]),
        np.array([item["points"] for item in items]),
        np.array([item["moments"] for item in items]),
    )
    assert [(group.kind, group.rows.tolist()) for group in groups] == [
        ("identical", [0, 2]),
        ("copy", [0, 2, 3, 4]),
    ]
