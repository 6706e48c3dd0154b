"""The constant predictors against what they minimise."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from pointspider.mapper.baselines import BASELINES


@pytest.fixture
def data() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return (
        rng.normal(size=(31, 4)).astype(np.float32),
        rng.gamma(2.0, size=(31, 3)).astype(np.float32),
        rng.normal(size=(5, 4)).astype(np.float32),
    )


@pytest.mark.parametrize("name", BASELINES)
def test_predictions_are_one_constant_row(name, data):
    x_train, y_train, x_test = data
    predicted = BASELINES[name](x_train, y_train)(x_test)
    assert (predicted.shape, predicted.dtype) == ((5, 3), np.float32)
    assert (predicted == predicted[0]).all()


def test_zero_predicts_zero(data):
    assert not BASELINES["zero"](*data[:2])(data[2]).any()


@pytest.mark.parametrize(("name", "power"), [("median", 1), ("mean", 2)])
def test_each_constant_minimises_its_loss(name, power, data):
    x_train, y_train, x_test = data
    predicted = BASELINES[name](x_train, y_train)(x_test)[0]
    for dimension, values in enumerate(y_train.T.astype(np.float64)):
        found = minimize_scalar(
            lambda c, values=values: (np.abs(values - c) ** power).mean(), bounds=(0, 10), method="bounded"
        )
        assert predicted[dimension] == pytest.approx(found.x, abs=1e-3)
