"""Table III: L1DIV of the mappers, between the constants that need no cloud."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from pointspider.evaluate.statistics import spread
from pointspider.tables.common import mean_and_spread, number, paper_figure, require, weights_label

#: Table III: L1DIV = 1 / mean L1 on the 420 test clouds, one training each.
PAPER_L1DIV = {"BASE": 1.529, "LNORM": 3.996, "RNORM": 1.569}
NO_BETTER = 1.1  # times the median's L1; beyond it a mapper is called worse
TEXT = (
    "Mappers take {point_encoder}'s embedding of a cloud ({point_weights}) to the {layer} {image_model} "
    "embedding of its render ({image_weights}). L1 is the mean absolute difference between the two on "
    "{n_test} test clouds, after training on {n_train}; L1DIV = 1 / L1, higher is better. Zero, mean and "
    "median are constants, blind to the cloud; skill is the share of the median's L1 that a predictor "
    "removes. ± is the standard deviation over seeds. The best epoch is chosen on the test clouds, which "
    "flatters it."
)


def alignment_table(
    records: pd.DataFrame, preset: str, data: str, point_weights: str, image_weights: str
) -> pd.DataFrame:
    """Table III: L1DIV of the three mappers over their seeds, between the constants that need no cloud.

    Args:
        records: `pointspider.evaluate.alignment.alignment_records`: constants, then a row per training.
        preset, data: what produced the rows: preset and source of the clouds.
        point_weights, image_weights: `weights` in params.yaml of the point encoder and of the CLIP.

    Returns:
        One row per baseline and mapper, in the order of `records`. `l1_...`, `l1div_...` and `skill_...` are
        means over the seeds that did not diverge, `..._std` sample standard deviations; L1DIV is taken per
        seed first. `_last` is after the last epoch, `_best` after the epoch of lowest test loss, which is
        optimistic. `beats_median` counts the seeds whose last epoch is nearer to the images than the median.

    Raises:
        InputError: a column is missing.
    """
    measures = [f"{name}_{epoch}" for epoch in ("last", "best") for name in ("l1", "l1div", "skill")]
    same = [
        "image_model",
        "layer",
        "point_encoder",
        "epochs",
        "batch_size",
        "base_width",
        "n_train",
        "n_test",
    ]
    require(
        records,
        ["kind", "mapper", "seed", *same, *measures, "best_epoch", "diverged_at"],
        "alignment records",
    )
    rows = []
    for mapper, runs in records.groupby("mapper", sort=False):
        whole = runs[runs["diverged_at"].isna()]
        trained = runs["kind"].iloc[0] == "mapper"
        row = {"preset": preset, "data": data, **runs.iloc[0][["kind", "mapper", *same]]}
        row |= {"point_weights": weights_label(point_weights), "image_weights": weights_label(image_weights)}
        row |= {
            "seeds": " ".join(map(str, runs["seed"])) if trained else "-",
            "diverged": len(runs) - len(whole),
        }
        for name in measures:
            over_seeds = spread(whole[name]) if len(whole) else None
            row[name] = over_seeds.mean if over_seeds else np.nan
            if not name.startswith("skill"):
                row[f"{name}_std"] = over_seeds.deviation if over_seeds else np.nan
        row["best_epoch"] = _span(whole["best_epoch"]) if trained else "-"
        row["beats_median"] = int((whole["skill_last"] > 0).sum()) if trained else pd.NA
        row["paper_l1div"] = paper_figure(preset, PAPER_L1DIV, mapper)
        rows.append(row)
    return pd.DataFrame(rows)


def _span(epochs: pd.Series) -> str:
    """The lowest and the highest of the seeds' best epochs, "812" or "640-1000"."""
    return "-".join(map(str, sorted({epochs.min(), epochs.max()}))) if len(epochs) else "-"


def cells(row: Mapping) -> dict[str, str]:
    cells = {"predictor": row["mapper"], "seeds": row["seeds"], "diverged": number(row["diverged"], ".0f")}
    for epoch in ("last", "best"):
        cells |= {
            f"L1, {epoch}": number(row[f"l1_{epoch}"], ",.3f") or "none",
            f"L1DIV, {epoch}": mean_and_spread(row[f"l1div_{epoch}"], row[f"l1div_{epoch}_std"], ".3f"),
            f"skill, {epoch}": number(100 * row[f"skill_{epoch}"], "+.1f", " %"),
        }
    return cells | {"best epoch": row["best_epoch"], "paper, L1DIV": number(row["paper_l1div"], ".3f")}


def read(table: pd.DataFrame) -> Iterator[str]:
    median = table.set_index("mapper").loc["median", "l1_last"]
    for row in table[table["kind"] == "mapper"].to_dict("records"):
        name, diverged, beats = row["mapper"], row["diverged"], int(row["beats_median"])
        seeds = len(row["seeds"].split())
        left_out = f" ({diverged} of {seeds} seeds diverged and are left out)" if diverged else ""
        if diverged == seeds:
            yield f"{name} diverged with every seed, so it has no L1."
        elif beats == seeds - diverged:
            yield f"{name} beats the median with every seed{left_out}: it does more than a constant."
        elif beats:
            yield f"{name} beats the median with {beats} of {seeds - diverged} seeds{left_out}."
        elif row["l1_last"] <= NO_BETTER * median:
            yield f"{name} is no better than the median{left_out}: a constant does as well."
        else:
            ratio = row["l1_last"] / median
            yield f"{name} is worse than a constant{left_out}: its L1 is {ratio:.2g} times the median's."
