"""Baselines of Table III: what a mapper must beat to show that it uses the cloud, or its depth.

Each is a closed form or a convex fit, and an affine map of the point-cloud embedding. BASE is not more than
that: there is nothing between its six Linear layers.

    zero, mean, median   constants, independent of the cloud; the median is the constant of least L1
    procrustes           a rotation (or reflection), a scale and a shift
    ridge                least squares with a penalty on the weights
    reduced_rank         the same through a bottleneck of few dimensions
    lad                  least absolute deviations: the optimum of BASE's loss on the training clouds

N: training clouds, X and Y: widths of the two embeddings, K: rank of the centred point embeddings. Everything
is computed in float64. Peak memory is about five (N, max(X, Y)) float64 arrays.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from jaxtyping import Float, Float64, Shaped
from scipy import linalg

from pointspider.core.errors import InputError
from pointspider.core.seeding import generator
from pointspider.mappers.affine import Affine

NOTHING: Mapping[str, int | float] = MappingProxyType({})
#: Bytes of a float64 block of output dimensions; small enough for few megabytes of temporary arrays.
BLOCK_BYTES = 2**26


def fit_baselines(
    x: Float[np.ndarray, "..."],
    y: Float[np.ndarray, "..."],
    groups: Shaped[np.ndarray, " N"],
    lambdas: Sequence[float],
    folds: int,
    seed: int,
) -> Iterator[tuple[str, Affine]]:
    """Fit every baseline, one after the other.

    Args:
        x: point-cloud embeddings of the training split, (N, X).
        y: image embeddings of the same clouds, (N, Y).
        groups: cross-validation leaves out clouds of the same group together: of an object, or of a class.
        lambdas: `baselines.ridge_lambdas` of params.yaml.
        folds: `baselines.folds` of params.yaml; at most one per group.
        seed: of the folds.

    Yields:
        (name, baseline) in Table III's order.

    Raises:
        InputError: the embeddings do not fit each other or hold NaN or inf; there is no λ; there are fewer
            than two folds or groups.
    """
    _check(x, y)
    lambdas = sorted(lambdas)
    ranks = _ranks(y.shape[1])
    # (λ, ranks); the last rank is without a bottleneck
    l1 = cross_validated_l1(x, y, groups, lambdas, ranks, folds, seed)
    best = int(l1[:, -1].argmin())
    best_reduced, best_rank = np.unravel_index(l1[:, :-1].argmin(), l1[:, :-1].shape)
    data = Centred.of(x, y)
    width, blocks = x.shape[1], _blocks(*y.shape)
    median = np.concatenate([np.median(y[:, block].astype(np.float64), axis=0) for block in blocks])
    yield "zero", constant(width, np.zeros(y.shape[1]))
    yield "mean", constant(width, data.y_mean)
    yield "median", constant(width, median)
    yield "procrustes", procrustes(data)
    yield "ridge", ridge(data, lambdas[best], _chosen(lambdas, best))
    facts = _chosen(lambdas, int(best_reduced))
    yield "reduced_rank", reduced_rank(data, lambdas[best_reduced], ranks[best_rank], facts)
    yield "lad", lad(data)


def constant(width: int, embedding: Float[np.ndarray, " Y"]) -> Affine:
    """Predict `embedding` for point embeddings of `width` dimensions."""
    return _affine(np.zeros((width, len(embedding))), embedding)


@dataclass(frozen=True)
class Centred:
    """A training split, centred and decomposed: x - x_mean = left · diag(singular) · right.

    Attributes:
        basis: orthonormal columns: `left`, and a constant column.
        singular: singular values above rounding, the largest first.
        right: orthonormal rows.
        x_mean, y_mean: of the columns.
        y: minus its mean.
    """

    basis: Float64[np.ndarray, "N columns"]
    singular: Float64[np.ndarray, " K"]
    right: Float64[np.ndarray, "K X"]
    x_mean: Float64[np.ndarray, " X"]
    y_mean: Float64[np.ndarray, " Y"]
    y: Float64[np.ndarray, "N Y"]

    @classmethod
    def of(cls, x: Float[np.ndarray, "N X"], y: Float[np.ndarray, "N Y"]) -> "Centred":
        """Decompose a training split."""
        n, width = x.shape
        centred = x.astype(np.float64, order="F")
        norm, x_mean = linalg.norm(centred), centred.mean(axis=0)
        centred -= x_mean
        left, singular, right = linalg.svd(centred, full_matrices=False, overwrite_a=True)
        del centred
        # Relative to x before centring: features that are constant up to rounding count as constant
        rank = int((singular > max(n, width) * np.finfo(np.float64).eps * norm).sum())
        basis = np.empty((n, rank + 1))
        basis[:, :-1], basis[:, -1] = left[:, :rank], n**-0.5
        del left
        targets = y.astype(np.float64)
        y_mean = targets.mean(axis=0)
        targets -= y_mean
        return cls(basis, singular[:rank], right[:rank], x_mean, y_mean, targets)

    @property
    def left(self) -> Float64[np.ndarray, "N K"]:
        """The left singular vectors."""
        return self.basis[:, :-1]

    def shrinkage(self, penalty: float) -> np.ndarray:
        """s / (s² + λ) of every singular value, (K,); λ is `penalty` times their mean square."""
        squares = self.singular**2
        shrinkage: np.ndarray = self.singular / (squares + penalty * squares.sum() / max(len(squares), 1))
        return shrinkage

    def affine(
        self, coefficients: np.ndarray, facts: Mapping[str, int | float], shift: np.ndarray | float = 0.0
    ) -> Affine:
        """The map with `coefficients`, (K, Y), in the basis `right`, and `shift` added to y_mean."""
        weight = self.right.T @ coefficients
        return _affine(weight, self.y_mean + shift - self.x_mean @ weight, facts)


def procrustes(data: Centred) -> Affine:
    """Fit rotation, scale and shift of least squared error (P. H. Schönemann, Psychometrika 31, 1966).

    With U S Vᵀ the decomposition of the centred embeddings' (X, Y) product, the rotation is U Vᵀ: square and
    orthogonal for equal widths; for different ones with orthonormal rows or columns, as if the narrower side
    were padded with zeros. The scale is the best one for that rotation; without it, encoders whose embeddings
    differ in length could not match.
    """
    product = data.singular[:, None] * (data.left.T @ data.y)  # (K, Y)
    left, singular, right = linalg.svd(data.right.T @ product, full_matrices=False)
    rotation = left @ right  # (X, Y)
    moved = ((data.singular[:, None] * (data.right @ rotation)) ** 2).sum()
    scale = singular.sum() / moved if moved else 0.0  # constant point embeddings cannot be moved
    weight = scale * rotation
    return _affine(weight, data.y_mean - data.x_mean @ weight, {"scale": float(scale)})


def ridge(data: Centred, penalty: float, facts: Mapping[str, int | float] = NOTHING) -> Affine:
    """Fit least squares with λ · ‖weight‖²; the bias is not penalised.

    λ is `penalty` times the mean squared singular value of the centred point embeddings, so that its meaning
    does not depend on the encoder.
    """
    return data.affine(data.shrinkage(penalty)[:, None] * (data.left.T @ data.y), facts)


def reduced_rank(
    data: Centred, penalty: float, rank: int, facts: Mapping[str, int | float] = NOTHING
) -> Affine:
    """Fit `ridge` under the constraint that the weight has at most `rank`.

    This is ridge's weight, projected on the directions of the image space in which ridge explains most
    (A. Mukherjee, J. Zhu, Statistical Analysis and Data Mining 4, 2011).
    """
    targets = data.left.T @ data.y  # (K, Y)
    shrinkage = data.shrinkage(penalty)
    directions = _leading(data, targets, shrinkage)[:, :rank]  # (Y, rank)
    coefficients = shrinkage[:, None] * (targets @ directions) @ directions.T
    return data.affine(coefficients, {"rank": rank, **facts})


def _leading(data: Centred, targets: np.ndarray, shrinkage: np.ndarray) -> np.ndarray:
    """Directions of the image space, (Y, Y) columns, sorted by how much ridge with this shrinkage explains.

    They are the right singular vectors of the fit to the data with √λ · identity appended as further rows.
    """
    fitted = np.sqrt(data.singular * shrinkage)[:, None] * targets  # (K, Y)
    directions: np.ndarray = linalg.eigh(fitted.T @ fitted)[1][:, ::-1]
    return directions


def cross_validated_l1(
    x: Float[np.ndarray, "N X"],
    y: Float[np.ndarray, "N Y"],
    groups: Shaped[np.ndarray, " N"],
    lambdas: Sequence[float],
    ranks: Sequence[int],
    folds: int,
    seed: int,
) -> Float64[np.ndarray, "lambdas choices"]:
    """Cross-validate `reduced_rank` with every λ and rank, and `ridge` with every λ.

    The measure is L1, as in the table, although the fits are least squares.

    Args:
        x, y, groups, folds, seed: see `fit_baselines`.
        lambdas: penalties.
        ranks: ranks of `reduced_rank`.

    Returns:
        The mean L1 on the groups that were left out; the last column is `ridge`.

    Raises:
        InputError: there is no λ, or there are fewer than two folds or groups.
    """
    if not lambdas:
        raise InputError("baselines.ridge_lambdas: empty; give at least one λ, e.g. [0.01, 0.1, 1].")
    _, group = np.unique(groups, return_inverse=True)
    count = int(group.max()) + 1
    folds = min(folds, count)
    if folds < 2:
        raise InputError(
            f"baselines.folds: training clouds of {count} objects or classes cannot be cross-validated in "
            f"{folds} folds; choose 2 or more folds, or train on more of them."
        )
    l1 = np.zeros((len(lambdas), len(ranks) + 1))
    for fold in np.array_split(generator(seed, "folds").permutation(count), folds):
        left_out = np.isin(group, fold)
        data = Centred.of(x[~left_out], y[~left_out])
        targets = data.left.T @ data.y  # (K, Y)
        inputs = (x[left_out] - data.x_mean) @ data.right.T  # (left out, K)
        truth = y[left_out] - data.y_mean
        for i, penalty in enumerate(lambdas):
            shrinkage = data.shrinkage(penalty)
            predicted = (inputs * shrinkage) @ targets  # (left out, Y)
            directions = _leading(data, targets, shrinkage)
            for j, rank in enumerate(ranks):
                leading = directions[:, :rank]
                l1[i, j] += np.abs(truth - predicted @ leading @ leading.T).sum()
            l1[i, -1] += np.abs(truth - predicted).sum()
    return l1 / y.size


#: ADMM of `lad`: over-relaxation (S. Boyd et al., Foundations and Trends in Machine Learning 3, 2011, §3.4.3)
#: and ρ times the mean absolute residual of least squares. They affect the number of steps, not the result.
RELAXATION, RHO = 1.7, 0.5
#: Steps between two computations of the duality gap, each of which costs as much as a step.
LOOK_EVERY = 10


def lad(data: Centred, tolerance: float = 0.01, steps: int = 2000) -> Affine:
    """Fit least absolute deviations, an affine map of least mean L1 on the training clouds.

    Each output dimension is a linear program. All are solved together by ADMM on min ‖z‖₁ with A b + z = y
    (Boyd et al., §6.1). Its only matrix is the projection on the columns of A, which are the point embeddings
    and a column of ones; the decomposition of `data` contains it. Memory for the residuals is one (N, Y)
    array; everything else is computed in blocks of output dimensions.

    It stops on a certificate: every v with Aᵀv = 0 and |v| ≤ 1 proves that no fit has an L1 below vᵀy. The L1
    is then at most `tolerance` (relative) above the optimum.

    If the centred embeddings have rank N - 1, as with as many dimensions as clouds, the map of least norm
    that meets every training cloud is returned. Its L1 is 0, which says nothing about other clouds.

    Args:
        data: the training split.
        tolerance: relative duality gap, summed over the output dimensions.
        steps: at most; if they do not reach `tolerance`, `facts["gap"]` is above it.
    """
    n, rank = data.left.shape
    if rank >= n - 1:
        return data.affine((data.left.T @ data.y) / data.singular[:, None], {"interpolates": 1})
    basis, gap = data.basis, np.inf
    blocks = _blocks(n, data.y.shape[1])
    solved = [_Lad(basis, data.y[:, block]) for block in blocks]
    for step in range(1, steps + 1):
        look = step % LOOK_EVERY == 0
        l1 = bound = 0.0
        for block in solved:
            block_l1, block_bound = block.step(look)
            l1, bound = l1 + block_l1, bound + block_bound
        if look:
            gap = (l1 - bound) / max(l1, np.finfo(np.float64).tiny)
            if gap <= tolerance:
                break
    coefficients = np.hstack([block.coefficients for block in solved])  # (K + 1, Y)
    weight = coefficients[:-1] / data.singular[:, None]
    return data.affine(weight, {"gap": float(gap)}, coefficients[-1] * n**-0.5)


class _Lad:
    """ADMM on some output dimensions.

    Args:
        basis: (N, K + 1), orthonormal columns that span A.
        y: (N, dimensions), centred; not copied.
    """

    def __init__(self, basis: np.ndarray, y: np.ndarray) -> None:
        self.basis, self.y = basis, y
        self.coefficients = basis.T @ y  # (K + 1, dimensions)
        residuals = y - basis @ self.coefficients  # of least squares
        # ADMM's ρ, (dimensions,); a dimension that least squares meets exactly has no residual to scale by
        self.rho = RHO / np.maximum(np.abs(residuals).mean(axis=0), np.finfo(np.float64).tiny ** 0.5)
        # z - u, (N, dimensions), from which both follow: u is its part within ±1/ρ, negated. At the start
        # z are the residuals and u is 0
        self.difference = residuals
        self.started = False

    def step(self, look: bool) -> tuple[float, float]:
        """One step; with `look` return the L1 and a lower bound of every fit's L1, else zeros."""
        z, u = self._split()
        self.coefficients = self.basis.T @ (self.y - z - u)
        fitted = self.basis @ self.coefficients
        relaxed = RELAXATION * fitted + (1 - RELAXATION) * (self.y - z)
        self.difference[...] = self.y - relaxed - u
        self.started = True
        if not look:
            return 0.0, 0.0
        u = self._split()[1]
        return float(np.abs(self.y - fitted).sum()), _lower_bound(-u * self.rho, self.basis, self.y)

    def _split(self) -> tuple[np.ndarray, np.ndarray]:
        """Return z and the scaled dual variable u."""
        if not self.started:
            return self.difference, np.zeros_like(self.difference)
        z = np.sign(self.difference) * np.maximum(np.abs(self.difference) - 1 / self.rho, 0)
        return z, z - self.difference


def _lower_bound(v: np.ndarray, basis: np.ndarray, y: np.ndarray) -> float:
    """An L1 that no affine fit to `y`, (N, dimensions), can fall below; from a guess of the dual solution."""
    v = v - basis @ (basis.T @ v)  # Aᵀv = 0
    v /= np.maximum(np.abs(v).max(axis=0), 1)  # |v| ≤ 1
    return float((v * y).sum())


def _blocks(rows: int, width: int) -> list[slice]:
    """Blocks of columns of a (rows, width) float64 array, of at most `BLOCK_BYTES` each."""
    columns = max(1, BLOCK_BYTES // (8 * rows))
    return [slice(start, start + columns) for start in range(0, width, columns)]


def _affine(weight: np.ndarray, bias: np.ndarray, facts: Mapping[str, int | float] = NOTHING) -> Affine:
    return Affine(weight.astype(np.float32), bias.astype(np.float32), facts)


def _ranks(width: int) -> list[int]:
    """The bottlenecks to try: powers of two below the width."""
    return [2**i for i in range(max((width - 1).bit_length(), 1))]


def _chosen(lambdas: Sequence[float], best: int) -> dict[str, int | float]:
    """The chosen λ; beyond an end of the grid there might be a better one."""
    at_end = len(lambdas) > 1 and best in (0, len(lambdas) - 1)
    return {"lambda": lambdas[best], "lambda_at_end": int(at_end)}


def _check(x: np.ndarray, y: np.ndarray) -> None:
    for kind, values in (("point", x), ("image", y)):
        if values.ndim != 2 or not values.size:
            raise InputError(f"{kind} embeddings to fit baselines: the shape is {values.shape}.")
        if not np.isfinite(values).all():
            raise InputError(f"{kind} embeddings to fit baselines: NaN or inf. Embed these clouds again.")
    if len(x) != len(y):
        raise InputError(
            f"{len(x)} point embeddings but {len(y)} image embeddings to fit baselines; each cloud needs one "
            "of both."
        )
