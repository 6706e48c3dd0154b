"""Random streams."""

import numpy as np

from pointspider.core.seeding import generator


def test_streams_depend_on_their_names_alone():
    draws = [generator(1, "chair", 3).random(4) for _ in range(2)]
    np.testing.assert_array_equal(*draws)
    others = [
        generator(1, "chair", 4),
        generator(2, "chair", 3),
        generator(1, "chair/3"),
        generator(1, "chai", "r", 3),
    ]
    assert not any(np.array_equal(draws[0], other.random(4)) for other in others[:2] + others[3:])
