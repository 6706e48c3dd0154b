"""Table II: zero-shot classification of renders by each CLIP."""

import re
from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from pointspider.errors import InputError
from pointspider.evaluate.statistics import spread
from pointspider.tables.common import mean_and_spread, number, paper_figure, require, weights_label

#: Table II: {model: {k: top-k accuracy on one Double Roulette draw of 40 clouds}}.
PAPER_ACCURACY = {
    "clip-vit-large-patch14": {1: 0.125, 3: 0.150},
    "clip-vit-base-patch32": {1: 0.125, 3: 0.200},
    "CLIP-ViT-H-14-laion2B-s32B-b79K": {1: 0.300, 3: 0.400},
    "CLIP-ViT-L-14-DataComp.XL-s13B-b90K": {1: 0.225, 3: 0.350},
}
FIRST_DRAW = "draw_0000"  # the Double Roulette draw that is Table II
TEXT = (
    "The share of clouds whose class a CLIP names right, from a render, among its first k guesses. The "
    "paper's test is one Double Roulette draw, a cloud of each class (n = {n}), here with its 95 % Wilson "
    "interval in brackets. Beside it: mean ± standard deviation over {draws} draws, and the clean test "
    "clouds (n = {n_clean})."
)


def zero_shot_table(
    records: pd.DataFrame, preset: str, data: str, weights: Mapping[str, str], seed: int, classes: int
) -> pd.DataFrame:
    """Table II: what share of clouds each CLIP names right, and what one draw of 40 can say about it.

    Args:
        records: `pointspider.evaluate.zero_shot.zero_shot_records` of every model, one below the other.
        preset, data: what produced the rows: preset and source of the clouds.
        weights: each model's `weights` in params.yaml.
        seed: of the Double Roulette.
        classes: number of classes to choose from; chance is k / classes.

    Returns:
        One row per model, in the order of `records`. For each k: top<k> of the first draw (n clouds) with its
        95 % Wilson interval, top<k>_mean and top<k>_std over all draws, top<k>_clean of the clean test clouds
        (n_clean) with its interval, top<k>_chance and paper_top<k>.

    Raises:
        InputError: a column, a model's first draw or its clean set is missing.
    """
    require(records, ("model", "set", "n", "top1", "top1_low", "top1_high"), "zero-shot records")
    rows = []
    for model, own in records.groupby("model", sort=False):
        sets = own.set_index("set")
        for name in (FIRST_DRAW, "clean"):
            if name not in sets.index:
                raise InputError(f"zero-shot records: {model} lacks the set '{name}'. Evaluate it again.")
        first, clean = sets.loc[FIRST_DRAW], sets.loc["clean"]
        draws = sets[sets.index.str.startswith("draw_")]
        row = {"preset": preset, "data": data, "model": model, "weights": weights_label(weights[model])}
        row |= {"seed": seed, "n": first["n"], "draws": len(draws), "n_clean": clean["n"]}
        for k in top_ranks(records):
            over_draws = spread(draws[f"top{k}"])
            row |= {f"top{k}{end}": first[f"top{k}{end}"] for end in ("", "_low", "_high")}
            row |= {f"top{k}_mean": over_draws.mean, f"top{k}_std": over_draws.deviation}
            row |= {f"top{k}_clean{end}": clean[f"top{k}{end}"] for end in ("", "_low", "_high")}
            row |= {f"top{k}_chance": k / classes}
            row |= {f"paper_top{k}": paper_figure(preset, PAPER_ACCURACY.get(model, {}), k)}
        rows.append(row)
    return pd.DataFrame(rows)


def top_ranks(frame: pd.DataFrame) -> list[int]:
    """The k of the columns top<k> of Table II or of its records."""
    return [int(match[1]) for name in frame.columns if (match := re.fullmatch(r"top(\d+)", name))]


def cells(row: Mapping, ranks: Sequence[int]) -> dict[str, str]:
    cells = {"model": row["model"], "weights": row["weights"]}
    for k in ranks:
        cells |= {
            f"top-{k}": f"{row[f'top{k}']:.3f} [{row[f'top{k}_low']:.2f}, {row[f'top{k}_high']:.2f}]",
            f"top-{k}, draws": mean_and_spread(row[f"top{k}_mean"], row[f"top{k}_std"], ".3f"),
            f"top-{k}, clean": f"{row[f'top{k}_clean']:.3f}",
            f"top-{k}, chance": f"{row[f'top{k}_chance']:.3f}",
            f"paper, top-{k}": number(row[f"paper_top{k}"], ".3f"),
        }
    return cells


def read(table: pd.DataFrame) -> Iterator[str]:
    for row in table.to_dict("records"):
        above = row["top1_low"] > row["top1_chance"]
        yield (
            f"{row['model']} is {'above' if above else 'not told from'} chance: the first draw's top-1 "
            f"interval {'excludes' if above else 'reaches down to'} {row['top1_chance']:.3g}."
        )
    best = table.loc[table["top1"].idxmax()]
    overlaps = (table["top1_high"] >= best["top1_low"]) & (table["model"] != best["model"])
    if overlaps.any():
        rivals = ", ".join(table.loc[overlaps, "model"])
        yield (
            f"The first draw does not rank {best['model']} above {rivals}: with n = {best['n']} their "
            "intervals overlap."
        )
    elif len(table) > 1:
        yield f"{best['model']} is ahead of every other model: its interval lies above theirs."
