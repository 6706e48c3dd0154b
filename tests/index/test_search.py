"""Search and de-duplication against brute force, and across chunk borders."""

import subprocess
import sys

import numpy as np
import pytest

from pointspider.core.errors import InputError
from pointspider.index.search import duplicates


def groups_by_flooding(embeddings, threshold):
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    near = unit @ unit.T >= threshold
    left, groups = set(range(len(unit))), []
    while left:
        group, border = set(), {min(left)}
        while border:
            group |= border
            border = {int(j) for i in border for j in np.flatnonzero(near[i])} - group
        left -= group
        if len(group) > 1:
            groups.append(sorted(group))
    return groups


@pytest.mark.parametrize("chunk", [1, 16, 4096])
@pytest.mark.parametrize("threshold", [0.9, 0.97, 0.99])
def test_duplicates_equal_flooding(threshold, chunk):
    rng = np.random.default_rng(0)
    embeddings = rng.normal(size=(20, 4))[rng.integers(20, size=60)] + rng.normal(scale=0.1, size=(60, 4))
    expected = groups_by_flooding(embeddings, threshold)
    assert len(expected) > 1
    assert [group.tolist() for group in duplicates(embeddings, threshold, chunk)] == expected


def test_duplicates_join_chains_and_leave_singles():
    angle = np.radians([0, 90, 8, 180, 16, 91])
    embeddings = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    groups = duplicates(embeddings, np.cos(np.radians(9)))
    assert [group.tolist() for group in groups] == [[0, 2, 4], [1, 5]]
    assert duplicates(embeddings, 0.9999999) == []
    assert duplicates(embeddings[:1], 0.5) == []


@pytest.mark.parametrize("threshold", [0, 1.01, np.nan])
def test_a_threshold_out_of_range_is_refused(threshold):
    with pytest.raises(InputError, match="threshold"):
        duplicates(np.ones((2, 2)), threshold)


def test_search_and_measures_do_not_import_torch():
    modules = "search, pointspider.study.evaluate.alignment, pointspider.study.evaluate.zero_shot"
    code = f"import sys, pointspider.{modules}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
