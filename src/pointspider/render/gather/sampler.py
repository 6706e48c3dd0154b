"""Low-discrepancy random numbers: Sobol's (0,2)-sequence with Owen's scrambling, computed bit by bit.

Brent Burley, "Practical Hash-based Owen Scrambling", Journal of Computer Graphics Techniques 9(4), 2020. Its
points fill the unit square evenly at every power of two, and pairs of dimensions are made independent of each
other by shuffling. Neighbouring cells of a picture take neighbouring runs of the sequence along Morton's
curve, so that their errors differ and cancel when cells are averaged: Abdalla Ahmed and Peter Wonka,
"Screen-Space Blue-Noise Diffusion of Monte Carlo Sampling Error via Hierarchical Ordering of Pixels", ACM
Transactions on Graphics 39(6), 2020.

Imports Dr.Jit; see the package.
"""

import drjit as dr
import mitsuba as mi
import numpy as np

# A superset sum over the bits of an index in five steps, one per bit of a bit's own number: each adds to the
# bits at (mask) those at (mask shifted by half a block).
SUPERSETS = ((1, 0x55555555), (2, 0x33333333), (4, 0x0F0F0F0F), (8, 0x00FF00FF), (16, 0x0000FFFF))
# Spreading 16 bits to every other bit of 32, in four steps.
SPREAD = ((8, 0x00FF00FF), (4, 0x0F0F0F0F), (2, 0x33333333), (1, 0x55555555))


class Sampler:
    """Points of the unit square by index; each `dimension` is a shuffled sequence of its own."""

    def __init__(self, seed: int):
        self._seed = seed

    def __call__(self, index: "mi.UInt32", dimension: int) -> "mi.Point2f":
        """The points at `index`, in [0, 1)^2."""
        words = np.random.default_rng([self._seed, dimension]).integers(1 << 32, size=3)
        shuffle, scramble_x, scramble_y = (mi.UInt32(int(word)) for word in words)
        shuffled = owen(index, shuffle)
        x, y = sobol(shuffled)
        return mi.Point2f(_unit(owen(x, scramble_x)), _unit(owen(y, scramble_y)))


def sobol(index: "mi.UInt32") -> tuple["mi.UInt32", "mi.UInt32"]:
    """The first two dimensions of Sobol's sequence, as 32-bit fractions.

    The first is the index with its bits reversed. The second multiplies the bits by Pascal's triangle modulo
    2 before; its entries are 1 where one bit number is a subset of the other (Lucas's theorem).
    """
    pascal = index
    for shift, mask in SUPERSETS:
        pascal = pascal ^ ((pascal >> shift) & mask)
    return dr.brev(index), dr.brev(pascal)


def owen(bits: "mi.UInt32", seed: "mi.UInt32") -> "mi.UInt32":
    """Flip each bit depending on those above it: Owen's scrambling by Burley's hash."""
    x = dr.brev(bits)
    x = x + seed
    x = x ^ (x * 0x6C50B47C)
    x = x ^ (x * 0xB82F1E52)
    x = x ^ (x * 0xC7AFE638)
    x = x ^ (x * 0x8D22F6E6)
    return dr.brev(x)


def morton(column: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Places along Morton's curve, of grid cells below 2 ** 16, uint32."""
    return _spread(column) | (_spread(row) << 1)


def _spread(number: np.ndarray) -> np.ndarray:
    number = number.astype(np.uint32)
    for shift, mask in SPREAD:
        number = (number | (number << shift)) & np.uint32(mask)
    return number


def _unit(bits: "mi.UInt32") -> "mi.Float":
    return mi.Float(bits >> 8) * 2.0**-24  # the 24 bits that a float32 holds, so that 1 is never reached
