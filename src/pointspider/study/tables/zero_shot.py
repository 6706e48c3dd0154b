"""Table II: zero-shot classification of renders by each CLIP."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from pointspider.core.errors import InputError
from pointspider.study.evaluate.statistics import difference_interval, spread_of_shares
from pointspider.study.evaluate.zero_shot import CLEAN, FIRST_DRAW, TEST
from pointspider.study.tables.common import paper_figure, require
from pointspider.study.tables.schemas import SCHEMAS, validate

#: Table II of the paper: {model: {measure: accuracy on one Double Roulette draw}}.
PAPER_ACCURACY = {
    "clip-vit-large-patch14": {"top1": 0.125, "top3": 0.150},
    "clip-vit-base-patch32": {"top1": 0.125, "top3": 0.200},
    "CLIP-ViT-H-14-laion2B-s32B-b79K": {"top1": 0.300, "top3": 0.400},
    "CLIP-ViT-L-14-DataComp.XL-s13B-b90K": {"top1": 0.225, "top3": 0.350},
}
PAPER_CLOUDS = 40  # of that draw, one per class
ALL_DRAWS = "all_draws"


def zero_shot_measures(records: pd.DataFrame, preset: str, classes: int) -> pd.DataFrame:
    """Complete the accuracies with the mean over the draws, chance, and the difference to the paper's.

    Args:
        records: `pointspider.study.evaluate.zero_shot.zero_shot_records` of every model.
        preset: its name; only the preset `paper` is compared with the paper.
        classes: number of classes.

    Returns:
        The table `zero_shot`, a row per model, prompts, set and measure. `n` is clouds, of `all_draws` those
        of each draw, whose value is the mean over the draws, with std and Student's interval of the mean.
        top<k>_minus_paper is the difference of the first draw to the paper's, with the interval of a
        difference of two draws.

    Raises:
        InputError: a column or a set of a model is missing.
    """
    require(records, ["model", "prompts", "set", "measure", "n", "value", "low", "high"], "zero-shot records")
    rows: list[dict[Any, Any]] = []
    for (model, prompts, measure), own in records.groupby(["model", "prompts", "measure"], sort=False):
        for name in (FIRST_DRAW, TEST, CLEAN):
            if name not in set(own["set"]):
                raise InputError(f"zero-shot records: {model} lacks the set '{name}'. Evaluate it again.")
        key = {"model": model, "prompts": prompts}
        paper = paper_figure(preset, PAPER_ACCURACY.get(str(model), {}), measure)
        draws = own[own["set"].str.startswith("draw_")]
        chance = {"measure": measure, "chance": int(str(measure)[3:]) / classes}
        first = {"paper": paper}
        rows += [row | chance | (first if row["set"] == FIRST_DRAW else {}) for row in own.to_dict("records")]
        over_draws = spread_of_shares(draws["value"].to_numpy(dtype=np.float64))
        ends = dict(zip(("value", "std", "low", "high"), over_draws, strict=True))
        rows.append(key | chance | {"set": ALL_DRAWS, "n": draws["n"].iloc[0], **ends})
        if not np.isnan(paper):
            n, ours = int(draws["n"].iloc[0]), float(draws["value"].iloc[0])
            theirs = round(paper * PAPER_CLOUDS), PAPER_CLOUDS
            low, high = difference_interval((round(ours * n), n), theirs)
            difference = {
                "measure": f"{measure}_minus_paper",
                "value": ours - paper,
                "low": low,
                "high": high,
            }
            rows.append(key | {"set": FIRST_DRAW, "n": n, **difference})
    return validate("zero_shot", pd.DataFrame(rows).reindex(columns=list(SCHEMAS["zero_shot"])))


def zero_shot_table(measures: pd.DataFrame, prompts: str, weights: Mapping[str, str]) -> pd.DataFrame:
    """Table II: a row per model.

    Args:
        measures: `zero_shot_measures`.
        prompts: the style of Table II, `zero_shot.class_names`.
        weights: each model's `weights` in params.yaml.

    Returns:
        For the two smallest k of `zero_shot.top`: top<k> of the first draw with its interval, top<k>_mean
        over all draws, and the paper's; the rest is in the table `zero_shot`.
    """
    own = measures[measures["prompts"] == prompts].to_dict("records")
    known = {(row["model"], row["set"], row["measure"]): row for row in own}
    rows = []
    for model, source in weights.items():
        row: dict[str, object] = {"model": model, "weights": source}
        for measure in top_measures(measures)[:2]:
            first = known[model, FIRST_DRAW, measure]
            row |= {measure: first["value"], f"{measure}_low": first["low"], f"{measure}_high": first["high"]}
            row |= {f"{measure}_mean": known[model, ALL_DRAWS, measure]["value"]}
            row |= {f"paper_{measure}": first["paper"]}
        rows.append(row)
    return validate("table2", pd.DataFrame(rows))


def top_measures(measures: pd.DataFrame) -> list[str]:
    """The measures top<k> of the table `zero_shot`, the smallest k first."""
    names = {name for name in measures["measure"] if re.fullmatch(r"top\d+", name)}
    return sorted(names, key=lambda name: int(name[3:]))
