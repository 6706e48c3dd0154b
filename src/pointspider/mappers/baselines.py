"""The baselines of Table III in files: every fit, and linear layers."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Shaped

from pointspider.core.files import write_json
from pointspider.mappers.fits import fit_baselines
from pointspider.mappers.settings import MapperSettings
from pointspider.mappers.training import train_mapper


def fit_predictors(
    folder: str | Path,
    x_train: Float[np.ndarray, "train inputs"],
    y_train: Float[np.ndarray, "train outputs"],
    x_test: Float[np.ndarray, "test inputs"],
    y_test: Float[np.ndarray, "test outputs"],
    groups: Shaped[np.ndarray, " train"],
    lambdas: Sequence[float],
    folds: int,
    fold_seed: int,
    settings: MapperSettings,
    seeds: Sequence[int],
) -> None:
    """Fit the baselines and write one predictor each to `folder`, with their facts in facts.json.

    Args:
        folder: where to write.
        x_train, y_train, x_test, y_test: as for `pointspider.mappers.training.train_mapper`. The test split
            only determines the best epoch of the linear layers, as it does for mappers.
        groups, lambdas, folds: see `pointspider.mappers.fits.fit_baselines`; its seed is `fold_seed`.
        settings: of the mappers; a linear layer, trained with them, is BASE without its depth.
        seeds: one linear layer each.

    Raises:
        InputError: the embeddings cannot be fitted.
    """
    folder = Path(folder)
    facts: list[dict[str, object]] = []
    for name, fit in fit_baselines(x_train, y_train, groups, lambdas, folds, fold_seed):
        fit.save(folder / f"{name}.safetensors")
        l1_train = float(np.abs(fit.predict(x_train) - y_train).mean())
        facts.append({"mapper": name, **fit.facts, "l1_train": l1_train})
    for seed in seeds:
        result = train_mapper(x_train, y_train, x_test, y_test, "none", settings, seed, hidden=())
        result.last.save(folder / f"linear_layer_seed_{seed}_last.safetensors")
        result.best.save(folder / f"linear_layer_seed_{seed}_best.safetensors")
        facts.append({"mapper": "linear_layer", **result.summary()})
    write_json(folder / "facts.json", facts)
