"""Every baseline against an independent solution: scikit-learn, scipy, or a second derivation."""

import tracemalloc

import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes
from scipy.optimize import linprog, minimize, minimize_scalar
from sklearn.linear_model import QuantileRegressor, Ridge
from sklearn.metrics import mean_absolute_error

from pointspider.core.errors import InputError
from pointspider.core.seeding import generator
from pointspider.mappers.affine import Affine
from pointspider.mappers.fits import (
    Centred,
    cross_validated_l1,
    fit_baselines,
    lad,
    procrustes,
    reduced_rank,
    ridge,
)

LAMBDAS = [0.001, 0.1, 10.0]


def draw(n=60, inputs=7, outputs=4, noise=1.0, seed=0) -> tuple[np.ndarray, np.ndarray]:
    """A noisy affine map with heavy tails, float64."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, inputs)) @ rng.normal(size=(inputs, inputs)) + 3
    y = x @ rng.normal(size=(inputs, outputs)) / inputs + 1 + noise * rng.standard_t(3, size=(n, outputs))
    return x, y


def alpha(x: np.ndarray, penalty: float) -> float:
    """scikit-learn's penalty that is ours: ours is in units of the mean squared singular value."""
    singular = np.linalg.svd(x - x.mean(0), compute_uv=False)
    return penalty * (singular[singular > 1e-9] ** 2).mean()


def fit(x, y, **changes) -> dict[str, Affine]:
    given = {"groups": np.arange(len(x)), "lambdas": LAMBDAS, "folds": 5, "seed": 0}
    return dict(fit_baselines(x, y, **{**given, **changes}))


def test_all_are_fitted_in_order():
    fitted = fit(*draw())
    assert list(fitted) == ["zero", "mean", "median", "procrustes", "ridge", "reduced_rank", "lad"]
    for baseline in fitted.values():
        predicted = baseline.predict(np.ones((5, 7), np.float64))
        assert (predicted.shape, predicted.dtype) == ((5, 4), np.float32)


# ------------------------------------------------------------------------------------------------- constants


def test_zero_predicts_zero():
    assert not fit(*draw())["zero"].predict(np.ones((3, 7))).any()


@pytest.mark.parametrize(("name", "power"), [("median", 1), ("mean", 2)])
def test_each_constant_minimises_its_loss(name, power):
    x, y = draw()
    predicted = fit(x, y)[name].predict(x)
    assert (predicted == predicted[0]).all()
    for dimension, values in enumerate(y.T):
        found = minimize_scalar(
            lambda c, values=values: (np.abs(values - c) ** power).mean(),
            bounds=(values.min(), values.max()), method="bounded",
        )  # fmt: skip
        loss = (np.abs(values - predicted[0, dimension]) ** power).mean()
        assert loss == pytest.approx(found.fun, rel=1e-4)


# ------------------------------------------------------------------------------------------------ procrustes


@pytest.mark.parametrize("outputs", [7, 4, 9])
def test_procrustes_is_scipys_with_the_narrower_side_filled_up(outputs):
    x, y = draw(outputs=outputs)
    width = max(7, outputs)
    filled_x, filled_y = (
        np.pad(v - v.mean(0), ((0, 0), (0, width - v.shape[1]))) for v in (x, y)
    )  # (60, width)
    rotation = orthogonal_procrustes(filled_x, filled_y)[0][:7, :outputs]
    moved = (x - x.mean(0)) @ rotation
    scale = np.sum(moved * (y - y.mean(0))) / np.sum(moved**2)
    np.testing.assert_allclose(procrustes(Centred.of(x, y)).predict(x), scale * moved + y.mean(0), atol=1e-5)


def test_procrustes_finds_a_rotation_scale_and_shift():
    x, _ = draw()
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(7, 7)))[0]
    fitted = procrustes(Centred.of(x, 2.5 * x @ rotation - 4))
    np.testing.assert_allclose(fitted.weight, 2.5 * rotation, atol=1e-5)
    np.testing.assert_allclose(fitted.bias, -4, atol=1e-4)
    assert fitted.facts == {"scale": pytest.approx(2.5)}


# ----------------------------------------------------------------------------------- ridge and reduced rank


@pytest.mark.parametrize("n", [60, 6])  # more and fewer clouds than dimensions
@pytest.mark.parametrize("penalty", LAMBDAS)
def test_ridge_is_scikit_learns(n, penalty):
    x, y = draw(n)
    theirs = Ridge(alpha=alpha(x, penalty)).fit(x, y)
    ours = ridge(Centred.of(x, y), penalty)
    np.testing.assert_allclose(ours.weight, theirs.coef_.T, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(ours.bias, theirs.intercept_, rtol=1e-4, atol=1e-5)


def test_reduced_rank_minimises_the_penalised_error_over_factors():
    """Against a numerical minimum over the two factors of the weight."""
    x, y = draw(n=40, inputs=5, outputs=4)
    penalty, rank = 0.2, 2
    data = Centred.of(x, y)
    centred, strength = x - x.mean(0), alpha(x, penalty)

    def loss(factors: np.ndarray) -> tuple[float, np.ndarray]:
        left, right = factors[: 5 * rank].reshape(5, rank), factors[5 * rank :].reshape(rank, 4)
        weight = left @ right
        residual = centred @ weight - data.y
        gradient = 2 * (centred.T @ residual + strength * weight)
        value = (residual**2).sum() + strength * (weight**2).sum()
        return value, np.concatenate([(gradient @ right.T).ravel(), (left.T @ gradient).ravel()])

    starts = np.random.default_rng(0).normal(size=(5, 9 * rank))
    found = min((minimize(loss, start, jac=True, tol=1e-12) for start in starts), key=lambda run: run.fun)
    fitted = reduced_rank(data, penalty, rank)
    assert np.linalg.matrix_rank(fitted.weight, tol=1e-5) == rank
    weight = found.x[: 5 * rank].reshape(5, rank) @ found.x[5 * rank :].reshape(rank, 4)
    np.testing.assert_allclose(fitted.weight, weight, atol=1e-4)


def test_without_penalty_reduced_rank_is_least_squares_on_the_principal_fitted_directions():
    """The textbook form (A. J. Izenman, 1975): least squares, projected on the leading axes of its fit."""
    x, y = draw()
    weight = np.linalg.lstsq(x - x.mean(0), y - y.mean(0), rcond=None)[0]
    axes = np.linalg.svd((x - x.mean(0)) @ weight)[2][:2]
    fitted = reduced_rank(Centred.of(x, y), 0.0, 2)
    np.testing.assert_allclose(fitted.weight, weight @ axes.T @ axes, atol=1e-5)


def test_at_full_rank_reduced_rank_is_ridge():
    data = Centred.of(*draw())
    np.testing.assert_allclose(
        reduced_rank(data, 0.1, 4).weight, ridge(data, 0.1).weight, rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("clouds", [1, 3])
def test_cross_validation_is_scikit_learns_on_the_same_folds_of_groups(clouds):
    x, y = draw(54)
    groups = np.array([f"object {i // clouds:02d}" for i in range(54)])
    ours = cross_validated_l1(x, y, groups, LAMBDAS, [1, 2], 5, seed=3)
    folds = [
        np.flatnonzero(np.isin(np.arange(54) // clouds, fold))
        for fold in np.array_split(generator(3, "folds").permutation(54 // clouds), 5)
    ]
    for i, penalty in enumerate(LAMBDAS):
        errors = []
        for rows in folds:
            rest = np.delete(np.arange(54), rows)
            model = Ridge(alpha=alpha(x[rest], penalty)).fit(x[rest], y[rest])
            errors += [mean_absolute_error(y[row], model.predict(x[[row]])[0]) for row in rows]
            single = reduced_rank(Centred.of(x[rest], y[rest]), penalty, 1)
            ours[i, 0] -= np.abs(single.predict(x[rows]) - y[rows]).sum() / y.size
        assert ours[i, 2] == pytest.approx(np.mean(errors))
    np.testing.assert_allclose(ours[:, 0], 0, atol=1e-6)


def test_the_best_of_the_grid_is_selected_and_its_end_is_reported():
    x, y = draw(noise=0.3)
    fitted = fit(x, y)
    best = cross_validated_l1(x, y, np.arange(60), LAMBDAS, [1, 2], 5, 0)[:, -1].argmin()
    assert fitted["ridge"].facts["lambda"] == LAMBDAS[best]
    assert fit(x, y, lambdas=[10.0, 100.0])["ridge"].facts == {"lambda": 10, "lambda_at_end": 1}
    assert fit(x, y, lambdas=[10.0])["ridge"].facts == {"lambda": 10, "lambda_at_end": 0}
    one_dimensional = x[:, :1] @ np.ones((1, 4)) + np.random.default_rng(1).normal(size=(60, 4))
    assert fit(x, one_dimensional)["reduced_rank"].facts["rank"] == 1


def test_folds_depend_on_the_seed_alone():
    x, y = draw()
    assert (fit(x, y, seed=1)["ridge"].weight == fit(x, y, seed=1)["ridge"].weight).all()
    first, second = (cross_validated_l1(x, y, np.arange(60), LAMBDAS, [1], 5, seed) for seed in (1, 2))
    assert (first != second).all()


def test_there_are_no_more_folds_than_groups():
    x, y = draw()
    classes = np.arange(60) % 3
    many, three = (cross_validated_l1(x, y, classes, LAMBDAS, [1], folds, 0) for folds in (5, 3))
    assert (many == three).all()


# ------------------------------------------------------------------------------------------------------- lad


def least_l1(x: np.ndarray, y: np.ndarray) -> float:
    """The smallest mean L1 of an affine map, from a linear program per dimension: minimise sum(up + down)."""
    n, design = len(x), np.column_stack([x, np.ones(len(x))])
    total = 0.0
    for values in y.T:
        cost = np.concatenate([np.zeros(design.shape[1]), np.ones(2 * n)])
        bounds = [(None, None)] * design.shape[1] + [(0, None)] * (2 * n)
        equal = np.hstack([design, np.eye(n), -np.eye(n)])
        total += linprog(cost, A_eq=equal, b_eq=values, bounds=bounds).fun
    return total / y.size


@pytest.mark.parametrize("shape", [(60, 7, 4), (40, 30, 3)])
def test_lad_reaches_the_linear_programs_optimum(shape):
    x, y = draw(*shape)
    fitted = lad(Centred.of(x, y), tolerance=1e-5, steps=20000)
    assert np.abs(fitted.predict(x) - y).mean() == pytest.approx(least_l1(x, y), rel=2e-5)


def test_lad_is_scikit_learns_median_regression():
    x, y = draw()
    fitted = lad(Centred.of(x, y), tolerance=1e-7, steps=20000)
    for dimension in range(4):
        theirs = QuantileRegressor(quantile=0.5, alpha=0).fit(x, y[:, dimension])
        np.testing.assert_allclose(fitted.predict(x)[:, dimension], theirs.predict(x), atol=2e-3)


def test_lads_certificate_holds():
    x, y = draw(200, 20, 6)
    fitted = lad(Centred.of(x, y))
    assert 0 <= fitted.facts["gap"] <= 0.01
    assert np.abs(fitted.predict(x) - y).mean() <= 1.01 * least_l1(x, y)
    assert lad(Centred.of(x, y), steps=10).facts["gap"] > 0.01


@pytest.mark.parametrize("n", [6, 7, 8])
def test_lad_with_as_many_dimensions_as_clouds_meets_all_of_them(n):
    x, y = draw(n)
    fitted = lad(Centred.of(x, y))
    assert fitted.facts == {"interpolates": 1}
    np.testing.assert_allclose(fitted.predict(x), y, atol=1e-3)
    shortest = np.linalg.pinv(x - x.mean(0)) @ (y - y.mean(0))
    np.testing.assert_allclose(fitted.weight, shortest, rtol=1e-3, atol=1e-4)


def test_lad_in_blocks_of_dimensions_is_the_same(monkeypatch):
    """The blocks bound memory; all stop at the same step."""
    data = Centred.of(*draw(200, 20, 6))
    at_once = lad(data)
    monkeypatch.setattr("pointspider.mappers.fits.BLOCK_BYTES", 2 * 200 * 8)
    in_blocks = lad(data)
    assert in_blocks.facts["gap"] == pytest.approx(at_once.facts["gap"])
    np.testing.assert_allclose(in_blocks.weight, at_once.weight, rtol=1e-5, atol=1e-7)


def test_memory_is_bounded(monkeypatch):
    """About six float64 arrays of clouds by dimensions."""
    monkeypatch.setattr("pointspider.mappers.fits.BLOCK_BYTES", 2**20)
    x, y = (values.astype(np.float32) for values in draw(8000, 64, 64))
    tracemalloc.start()
    fit(x, y, lambdas=[1.0])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 7 * 8 * y.size


def test_lad_of_an_exact_map_is_exact():
    x, _ = draw()
    np.testing.assert_allclose(lad(Centred.of(x, 2 * x - 1)).predict(x), 2 * x - 1, atol=1e-4)


# ------------------------------------------------------------------------------------------------- bad input


def test_constant_features_carry_nothing():
    """A constant point embedding leaves the constants; one constant dimension changes no prediction."""
    x, y = draw()
    blind = fit(np.full_like(x, 0.1), y)
    for name in ("procrustes", "ridge", "reduced_rank"):
        np.testing.assert_allclose(blind[name].predict(x), blind["mean"].predict(x), atol=1e-5)
    l1 = {name: np.abs(blind[name].predict(x) - y).mean() for name in ("lad", "median")}
    assert l1["median"] <= l1["lad"] * (1 + 1e-6) <= 1.01 * l1["median"]
    with_constant = fit(np.column_stack([x, np.full(60, 0.1)]), y)
    for name, baseline in fit(x, y).items():
        np.testing.assert_allclose(
            with_constant[name].predict(np.column_stack([x, np.full(60, 0.1)])),
            baseline.predict(x),
            atol=1e-4,
        )


def test_constant_targets_are_met():
    x, _ = draw()
    for name, baseline in fit(x, np.full((60, 4), 2.0)).items():
        np.testing.assert_allclose(baseline.predict(x), 0 if name == "zero" else 2, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lambdas": []}, r"baselines\.ridge_lambdas: empty"),
        (
            {"groups": np.zeros(60)},
            r"baselines\.folds: training clouds of 1 objects or classes .* in 1 folds",
        ),
        ({"folds": 1}, r"1 folds; choose 2"),
        ({"x": np.ones((59, 7))}, "59 point embeddings but 60 image embeddings"),
        ({"x": np.full((60, 7), np.nan)}, "point embeddings to fit baselines: NaN or inf"),
        ({"y": np.full((60, 4), np.inf)}, "image embeddings to fit baselines: NaN or inf"),
        ({"x": np.ones((60, 0))}, r"the shape is \(60, 0\)"),
        ({"x": np.ones((1, 7)), "y": np.ones((1, 4))}, r"1 objects or classes .* train on more"),
    ],
)
def test_bad_input_is_refused(changes, message):
    x, y = draw()
    with pytest.raises(InputError, match=message):
        fit(**{"x": x, "y": y, **changes})


def test_a_baseline_refuses_embeddings_of_another_width():
    with pytest.raises(InputError, match=r"\(n, 7\), not \(3, 8\)"):
        fit(*draw())["ridge"].predict(np.ones((3, 8)))
