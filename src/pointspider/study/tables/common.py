"""Shared by the tables: checks, the paper's figures and how numbers become text.

The paper: V. Jaisankar, J. Sreevalsan Nair, "POINTSPIDER: Learning linear mappings for multimodal alignment
of images and point clouds". Every PAPER_... constant is from its LaTeX source,
multimodal_representation_report/root.tex in https://github.com/vijay-jaisankar/multimodal-alignment (commit
a97c3641).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pointspider.core.errors import InputError


def require(frame: pd.DataFrame, columns: Sequence[str], what: str) -> None:
    """Check that a frame has rows and columns.

    Raises:
        InputError: names `what`, and what is missing.
    """
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise InputError(f"{what}: no columns {missing}, only {list(frame.columns)}. Measure again.")
    if frame.empty:
        raise InputError(f"{what}: no rows. Measure again.")


def paper_figure(preset: str, figures: Mapping[Any, float], key: object) -> float:
    """The paper's figure for the preset `paper`; NaN for others and where the paper gives none."""
    return figures.get(key, np.nan) if preset == "paper" else np.nan
