"""Independent random number generators, one per seed and name."""

import hashlib

import numpy as np


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """Return a generator that depends only on its arguments.

    A single draw (say the noise of one cloud at one severity) can therefore be repeated alone, in any order
    and in any process.

    Args:
        seed: a seed, 0 or greater.
        names: the purpose of the stream, for example ("airplane/0003", "uniform", 2).
    """
    key = hashlib.blake2b("/".join(map(str, names)).encode(), digest_size=16).digest()
    seed_words = max(1, -(-seed.bit_length() // 32))
    # NumPy parses a list of integers more slowly than an array of words.
    return np.random.default_rng(np.frombuffer(seed.to_bytes(4 * seed_words, "little") + key, dtype="<u4"))
