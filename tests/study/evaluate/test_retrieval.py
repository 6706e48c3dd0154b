"""Ranks against brute force; equals against every order of them."""

import itertools

import numpy as np
import pytest

from pointspider.core.errors import InputError
from pointspider.study.evaluate.retrieval import match_ranks, score_ranks


@pytest.mark.parametrize("chunk", [1, 7, 1024])
def test_ranks_equal_sorting(chunk):
    rng = np.random.default_rng(0)
    queries, gallery = rng.normal(size=(13, 6)).astype(np.float32), rng.normal(size=(40, 6))
    match = rng.integers(40, size=13)
    cosine = (queries @ gallery.T) / np.outer(
        np.linalg.norm(queries, axis=1), np.linalg.norm(gallery, axis=1)
    )
    expected = [1 + np.argsort(-row).tolist().index(own) for row, own in zip(cosine, match, strict=True)]
    ranks = match_ranks(queries, gallery, match, chunk)
    assert ranks.mean().tolist() == expected
    assert (ranks.tied == 1).all()
    for k in (1, 5, 40):
        assert (ranks.within(k) == (np.array(expected) <= k)).all()


def test_equals_count_as_the_mean_over_their_orders():
    scores = np.array([[3.0, 2, 2, 2, 1]])
    for column, places in ((0, [1]), (1, [2, 3, 4]), (4, [5])):
        ranks = score_ranks(scores, np.array([column]))
        assert ranks.mean()[0] == np.mean(places)
        for k in range(1, 6):
            # Every order of the three equals is as likely
            orders = list(itertools.permutations(range(len(places))))
            hits = np.mean([places[order[0]] <= k for order in orders])
            assert ranks.within(k)[0] == pytest.approx(hits)


def test_one_answer_for_everything_is_chance():
    gallery = np.random.default_rng(0).normal(size=(20, 3))
    same = np.tile(gallery[:1] * 0.1, (20, 1))
    own = np.arange(20)
    for k in (1, 5, 10):
        assert match_ranks(same, gallery, own).within(k).mean() == pytest.approx(k / 20)
        assert match_ranks(gallery, same, own).within(k).mean() == pytest.approx(k / 20)
        assert match_ranks(gallery * 0, gallery, own).within(k).mean() == pytest.approx(k / 20)


def test_other_widths_are_refused():
    with pytest.raises(InputError, match="queries are 3 wide but the gallery is 4 wide"):
        match_ranks(np.ones((1, 3)), np.ones((2, 4)), np.array([0]))
