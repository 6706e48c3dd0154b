"""Baselines of Table III: what a mapper must beat before its loss says that it uses the cloud, or its depth.

Each is a closed form or a convex fit, and an affine map of the point-cloud embedding. BASE cannot become more
than that: there is nothing between its six Linear layers.

    zero, mean, median   constants, blind to the cloud; the median is the constant of least L1
    procrustes           a rotation (or reflection), a scale and a shift
    ridge                least squares with a penalty on the weights
    reduced_rank         the same through a bottleneck of few dimensions
    lad                  least absolute deviations: the optimum of BASE's loss on the training clouds

N is training clouds, X and Y the widths of the two embeddings, K the rank of the centred point embeddings.
Everything is computed in float64.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from scipy import linalg

from pointspider.core.errors import InputError
from pointspider.core.seeding import generator
from pointspider.mappers.base import point_embeddings

NOTHING: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True)
class Affine:
    """x → x · weight + bias.

    Attributes:
        weight: (X, Y) float32.
        bias: (Y,) float32.
        facts: what the fit chose, by name: `scale`; `lambda`, with `lambda_at_end` 1 where it is an end of
            the grid; `rank`; `gap`, the relative duality gap; `interpolates`, 1 where every training cloud
            is met exactly.
    """

    weight: np.ndarray
    bias: np.ndarray
    facts: Mapping[str, float] = field(default_factory=dict)

    def predict(self, embeddings: np.ndarray) -> np.ndarray:
        """Map point-cloud embeddings, (n, X), to image embeddings, (n, Y) float32.

        Raises:
            InputError: the embeddings have another width.
        """
        return point_embeddings(embeddings, len(self.weight)) @ self.weight + self.bias


def fit_baselines(
    x: np.ndarray, y: np.ndarray, groups: np.ndarray, lambdas: Sequence[float], folds: int, seed: int
) -> dict[str, Affine]:
    """Fit every baseline.

    Args:
        x: (N, X) point-cloud embeddings of the training split.
        y: (N, Y) image embeddings of the same clouds in the same order.
        groups: (N,) what is left out as a whole in cross-validation: each cloud's object, or its class.
        lambdas: `baselines.ridge_lambdas` of params.yaml.
        folds: `baselines.folds` of params.yaml; at most one for each group.
        seed: of the folds.

    Returns:
        {name: baseline} in Table III's order.

    Raises:
        InputError: the embeddings do not fit each other or hold NaN or inf; there is no λ; there are fewer
            than two folds or groups.
    """
    _check(x, y)
    x, y = x.astype(np.float64), y.astype(np.float64)
    data = Centred.of(x, y)
    lambdas = sorted(lambdas)
    ranks = _ranks(y.shape[1])
    l1 = cross_validated_l1(
        x, y, groups, lambdas, ranks, folds, seed
    )  # (λ, ranks, the last without a bottleneck)
    best = int(l1[:, -1].argmin())
    best_reduced, best_rank = np.unravel_index(l1[:, :-1].argmin(), l1[:, :-1].shape)
    return {
        "zero": constant(x.shape[1], np.zeros(y.shape[1])),
        "mean": constant(x.shape[1], y.mean(axis=0)),
        "median": constant(x.shape[1], np.median(y, axis=0)),
        "procrustes": procrustes(data),
        "ridge": ridge(data, lambdas[best], _chosen(lambdas, best)),
        "reduced_rank": reduced_rank(
            data, lambdas[best_reduced], ranks[best_rank], _chosen(lambdas, best_reduced)
        ),
        "lad": lad(data),
    }


def constant(width: int, embedding: np.ndarray) -> Affine:
    """Predict `embedding`, (Y,), whatever the (n, `width`) point embeddings are."""
    return _affine(np.zeros((width, len(embedding))), embedding)


@dataclass(frozen=True)
class Centred:
    """A training split, centred and decomposed: x - x_mean = left · diag(singular) · right.

    Attributes:
        left: (N, K), orthonormal columns.
        singular: (K,) singular values above rounding, the largest first.
        right: (K, X), orthonormal rows.
        x_mean, y_mean: (X,) and (Y,).
        y: (N, Y) minus its mean.
    """

    left: np.ndarray
    singular: np.ndarray
    right: np.ndarray
    x_mean: np.ndarray
    y_mean: np.ndarray
    y: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, y: np.ndarray) -> "Centred":
        x_mean, y_mean = x.mean(axis=0), y.mean(axis=0)
        left, singular, right = linalg.svd(x - x_mean, full_matrices=False)
        # Relative to x before centring, so that features that are constant up to rounding count as constant
        real = singular > max(x.shape) * np.finfo(np.float64).eps * linalg.norm(x)
        return cls(left[:, real], singular[real], right[real], x_mean, y_mean, y - y_mean)

    def shrinkage(self, penalty: float) -> np.ndarray:
        """s / (s² + λ) of every singular value, (K,); λ is `penalty` times their mean square."""
        squares = self.singular**2
        return self.singular / (squares + penalty * squares.sum() / max(len(squares), 1))

    def affine(
        self, coefficients: np.ndarray, facts: Mapping[str, float], shift: np.ndarray | float = 0.0
    ) -> Affine:
        """The map with `coefficients`, (K, Y), in the basis `right`, and `shift` added to y_mean."""
        weight = self.right.T @ coefficients
        return _affine(weight, self.y_mean + shift - self.x_mean @ weight, facts)


def procrustes(data: Centred) -> Affine:
    """The rotation, scale and shift of least squared error (P. H. Schönemann, Psychometrika 31, 1966).

    With U S Vᵀ the decomposition of the centred embeddings' (X, Y) product, the rotation is U Vᵀ: square and
    orthogonal for equal widths; for different ones with orthonormal rows or columns, as if the narrower side
    were filled up with zeros. The scale is the best one for that rotation: without it, encoders whose
    embeddings have different lengths could not meet.
    """
    product = data.singular[:, None] * (data.left.T @ data.y)  # (K, Y)
    left, singular, right = linalg.svd(data.right.T @ product, full_matrices=False)
    rotation = left @ right  # (X, Y)
    moved = ((data.singular[:, None] * (data.right @ rotation)) ** 2).sum()
    scale = singular.sum() / moved if moved else 0.0  # constant point embeddings cannot be moved
    weight = scale * rotation
    return _affine(weight, data.y_mean - data.x_mean @ weight, {"scale": float(scale)})


def ridge(data: Centred, penalty: float, facts: Mapping[str, float] = NOTHING) -> Affine:
    """Least squares with λ · ‖weight‖², the bias free.

    λ is `penalty` times the mean squared singular value of the centred point embeddings, so that it means the
    same for every encoder.
    """
    return data.affine(data.shrinkage(penalty)[:, None] * (data.left.T @ data.y), facts)


def reduced_rank(data: Centred, penalty: float, rank: int, facts: Mapping[str, float] = NOTHING) -> Affine:
    """`ridge` under the constraint that the weight has at most `rank`.

    It is ridge's weight, projected on the leading directions of the image space in which ridge explains most
    (A. Mukherjee, J. Zhu, Statistical Analysis and Data Mining 4, 2011).
    """
    targets = data.left.T @ data.y  # (K, Y)
    shrinkage = data.shrinkage(penalty)
    directions = _leading(data, targets, shrinkage)[:, :rank]  # (Y, rank)
    coefficients = shrinkage[:, None] * (targets @ directions) @ directions.T
    return data.affine(coefficients, {"rank": rank, **facts})


def _leading(data: Centred, targets: np.ndarray, shrinkage: np.ndarray) -> np.ndarray:
    """Directions of the image space, (Y, Y) columns, in which ridge with this shrinkage explains most first.

    They are the right singular vectors of the fit to the data with √λ · identity appended as further rows.
    """
    fitted = np.sqrt(data.singular * shrinkage)[:, None] * targets  # (K, Y)
    return linalg.eigh(fitted.T @ fitted)[1][:, ::-1]


def cross_validated_l1(
    x: np.ndarray,
    y: np.ndarray,
    groups: np.ndarray,
    lambdas: Sequence[float],
    ranks: Sequence[int],
    folds: int,
    seed: int,
) -> np.ndarray:
    """Mean L1 on groups of clouds that were left out, of `reduced_rank` with every λ and rank, and `ridge`.

    The measure is the table's, L1, though the fits are least squares.

    Returns:
        (len(lambdas), len(ranks) + 1); the last column is `ridge`.

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
        kept = ~left_out
        data = Centred.of(x[kept], y[kept])
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
#: and ρ times the mean absolute residual of least squares. They set the number of steps, not the result.
RELAXATION, RHO = 1.7, 0.5
#: Steps between two looks at the duality gap, which costs as much as a step.
LOOK_EVERY = 10


def lad(data: Centred, tolerance: float = 0.01, steps: int = 2000) -> Affine:
    """Least absolute deviations, an affine map of least mean L1 on the training clouds.

    Each output dimension is a linear program of its own. All are solved together by ADMM on
    min ‖z‖₁ with A b + z = y (Boyd et al., §6.1). Its only matrix is the projection on the columns of A, the
    point embeddings and a column of ones; the decomposition of `data` holds it.

    It stops on a certificate: every v with Aᵀv = 0 and |v| ≤ 1 proves that no fit has an L1 below vᵀy. The L1
    is then at most `tolerance` (relative) above the smallest there is.

    Where the centred embeddings have rank N - 1, as with as many dimensions as clouds, the map of least norm
    that meets every training cloud is returned: its L1 is 0, and nothing else can be said for it.

    Args:
        data: the training split.
        tolerance: relative duality gap, summed over the output dimensions.
        steps: at most; where they do not reach `tolerance`, `facts["gap"]` is above it.
    """
    n, rank = data.left.shape
    if rank >= n - 1:
        return data.affine((data.left.T @ data.y) / data.singular[:, None], {"interpolates": 1})
    basis = np.column_stack([data.left, np.full(n, n**-0.5)])  # (N, K + 1): the centred columns and the ones
    z = data.y - basis @ (basis.T @ data.y)  # residuals of least squares
    # ADMM's ρ, (Y,); a dimension that least squares meets already has no residual to scale by
    rho = RHO / np.maximum(np.abs(z).mean(axis=0), np.finfo(np.float64).tiny ** 0.5)
    u = np.zeros_like(z)  # scaled dual variable
    gap = np.inf
    for step in range(1, steps + 1):
        coefficients = basis.T @ (data.y - z - u)  # (K + 1, Y)
        fitted = basis @ coefficients
        relaxed = RELAXATION * fitted + (1 - RELAXATION) * (data.y - z)
        wanted = data.y - relaxed - u
        z = np.sign(wanted) * np.maximum(np.abs(wanted) - 1 / rho, 0)
        u = z - wanted
        if step % LOOK_EVERY == 0:
            l1 = np.abs(data.y - fitted).sum()
            gap = (l1 - _lower_bound(-u * rho, basis, data.y)) / max(l1, np.finfo(np.float64).tiny)
            if gap <= tolerance:
                break
    weight = coefficients[:-1] / data.singular[:, None]
    return data.affine(weight, {"gap": float(gap)}, coefficients[-1] * n**-0.5)


def _lower_bound(v: np.ndarray, basis: np.ndarray, y: np.ndarray) -> float:
    """An L1 that no affine fit to `y`, (N, Y), can fall below; from a guess (N, Y) of the dual solution."""
    v = v - basis @ (basis.T @ v)  # Aᵀv = 0
    v /= np.maximum(np.abs(v).max(axis=0), 1)  # |v| ≤ 1
    return float((v * y).sum())


def _affine(weight: np.ndarray, bias: np.ndarray, facts: Mapping[str, float] = NOTHING) -> Affine:
    return Affine(weight.astype(np.float32), bias.astype(np.float32), facts)


def _ranks(width: int) -> list[int]:
    """Powers of two below the width: the bottlenecks that are tried."""
    return [2**i for i in range(max((width - 1).bit_length(), 1))]


def _chosen(lambdas: Sequence[float], best: int) -> dict[str, float]:
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
