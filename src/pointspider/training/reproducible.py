"""What the trained encoders share: reproducible draws."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from pointspider.core.seeding import generator


@contextmanager
def reproducible(seed: int, name: str) -> Iterator[torch.Generator]:
    """A block in which equal inputs give equal bits, on one machine with one number of threads.

    Inside, PyTorch refuses algorithms that are not deterministic, and its global random state (which alone
    feeds initial weights and dropout) is seeded; on leaving, both are as before.

    Args:
        seed, name: name the random stream, as in `seeding.generator`.

    Yields:
        A generator of its own for batches and augmentation.
    """
    stream = generator(seed, name)
    before = torch.are_deterministic_algorithms_enabled(), torch.utils.deterministic.fill_uninitialized_memory
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it, cuBLAS is not deterministic
    with torch.random.fork_rng():
        torch.manual_seed(int(stream.integers(2**63)))
        torch.use_deterministic_algorithms(True)
        # It guards code that reads memory before writing it; ours does not, and training takes a tenth longer
        torch.utils.deterministic.fill_uninitialized_memory = False
        try:
            yield torch.Generator().manual_seed(int(stream.integers(2**63)))
        finally:
            torch.use_deterministic_algorithms(before[0])
            torch.utils.deterministic.fill_uninitialized_memory = before[1]
