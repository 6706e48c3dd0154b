"""Named random streams: one generator per (seed, names), independent of every other."""

import hashlib

import numpy as np


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """A generator that depends on nothing but its arguments.

    Any one draw (the noise of one cloud at one severity, say) can so be made again alone, in any order
    and in any process.

    Args:
        seed: a named seed of params.yaml, 0 or greater.
        names: what the stream is for, e.g. ("airplane/0003", "uniform", 2).
    """
    key = hashlib.blake2b("/".join(map(str, names)).encode(), digest_size=16).digest()
    seed_words = max(1, -(-seed.bit_length() // 32))
    # As words: numpy takes a third longer to take a list of integers apart.
    return np.random.default_rng(np.frombuffer(seed.to_bytes(4 * seed_words, "little") + key, dtype="<u4"))
