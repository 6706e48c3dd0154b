"""The predictor that search uses in a run: which one, and its file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from pointspider.core.errors import InputError
from pointspider.core.files import read_json
from pointspider.mappers.base import LABELS
from pointspider.mappers.files import load_predictor
from pointspider.study.tables.choice import choose
from pointspider.study.tables.schemas import read_table


def chosen_predictor(choice: str | Path) -> str:
    """Return the predictor that cross-validation chose: a norm, a fit, or "encoder" for none.

    Args:
        choice: the table `choice` of a run.
    """
    name = str(choose(read_table(choice))["predictor"].iloc[0])
    return next((norm for norm, label in LABELS.items() if label == name), name)


def predictor_path(mappers: Path, name: str, seed: int) -> Path | None:
    """Return the file of a predictor of a run; None if the encoder embeds into the space of the CLIP.

    Args:
        mappers: the predictors of one split of the run.
        name: a norm, a fit, or "encoder".
        seed: of the mapper.

    Raises:
        InputError: the run has no such predictor, or its training diverged.
    """
    if name == "encoder":
        return None
    if name not in LABELS:
        fits = sorted(path.stem for path in (mappers / "fits").glob("*.safetensors"))
        if name not in fits:
            raise InputError(
                f"predictor: '{name}' does not exist; choose from {', '.join([*LABELS, *fits])}."
            )
        return mappers / "fits" / f"{name}.safetensors"
    run: dict[str, Any] = next(
        (run for run in read_json(mappers / name / "runs.json") if run["seed"] == seed), {}
    )
    if epoch := run.get("diverged_at"):  # its weights may well be finite
        raise InputError(
            f"{mappers / name}: the mapper of seed {seed} diverged at epoch {epoch}; choose another "
            "predictor."
        )
    return mappers / name / f"seed_{seed}_last.safetensors"


def load_chosen(
    choice: str | Path, mappers: Path, seed: int
) -> tuple[str, Callable[[Float[np.ndarray, "n _"]], Float[np.ndarray, "n _"]]]:
    """Return the name of the chosen predictor in the tables, and what it predicts.

    Raises:
        InputError: its training diverged.
    """
    name = chosen_predictor(choice)
    path = predictor_path(mappers, name, seed)
    return LABELS.get(name, name), (load_predictor(path).predict if path else lambda points: points)
