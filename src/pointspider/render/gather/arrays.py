"""NumPy arrays as Dr.Jit's, and tables that kernels look up.

Imports Dr.Jit; see the package.
"""

from typing import Any

import drjit as dr
import mitsuba as mi
import numpy as np

VECTOR_BYTES = 64  # of the widest vectors for which LLVM compiles kernels, AVX-512's


def flat(kind: Any, array: Any) -> Any:
    """Convert (n,) numbers to a Dr.Jit array.

    Dr.Jit shares NumPy's memory and compiles a kernel for each combination of inputs that are aligned to
    vectors and inputs that are not. So the copy begins at a multiple of VECTOR_BYTES; otherwise every cloud
    could compile kernels.
    """
    numbers = np.float32 if kind is mi.Float else np.uint32
    buffer = np.empty(array.size + VECTOR_BYTES // 4, numbers)
    start = -buffer.ctypes.data % VECTOR_BYTES // 4
    buffer[start : start + array.size] = array
    return kind(buffer[start : start + array.size])


def padded(array: Any) -> "mi.Float":
    """Convert (N, 3) to one flat array of N groups of 4, which are looked up together faster."""
    return flat(mi.Float, np.pad(array, ((0, 0), (0, 1))).ravel())


def lookup(table: "mi.Float", index: "mi.UInt32", active: "mi.Bool") -> "mi.Vector3f":
    """Return rows of what `padded` returned."""
    return dr.gather(mi.Vector4f, table, index, active).xyz


def interpolated(kind: Any, table: "mi.Float", size: int, place: "mi.Point2f") -> Any:
    """Return values of `kind` at places, in units of nodes, between the nodes of a `size` x `size` table."""
    corner = mi.Point2u(dr.clip(place, 0, size - 2))
    first = corner.y * size + corner.x
    low_left, low_right, high_left, high_right = (
        dr.gather(kind, table, first + step) for step in (0, 1, size, size + 1)
    )
    across, along = place - mi.Point2f(corner)
    return dr.lerp(dr.lerp(low_left, low_right, across), dr.lerp(high_left, high_right, across), along)
