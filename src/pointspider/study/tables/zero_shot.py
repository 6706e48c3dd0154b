"""Table II: zero-shot classification of renders by each CLIP, and what its forty clouds can say."""

import itertools
import re
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from pointspider.core.errors import InputError
from pointspider.study.evaluate.statistics import (
    difference_interval,
    spread,
    spread_of_shares,
    wilson_interval,
)
from pointspider.study.evaluate.zero_shot import CLEAN, FIRST_DRAW, PAIR, TEST
from pointspider.study.tables.common import (
    SPREAD,
    mean_and_spread,
    number,
    paper_figure,
    require,
    weights_label,
)

#: Table II: {model: {k: top-k accuracy on one Double Roulette draw}}.
PAPER_ACCURACY = {
    "clip-vit-large-patch14": {1: 0.125, 3: 0.150},
    "clip-vit-base-patch32": {1: 0.125, 3: 0.200},
    "CLIP-ViT-H-14-laion2B-s32B-b79K": {1: 0.300, 3: 0.400},
    "CLIP-ViT-L-14-DataComp.XL-s13B-b90K": {1: 0.225, 3: 0.350},
}
ALL_DRAWS = "all draws"
PAPER_CLOUDS = 40  # of that draw, one per class
SIGNIFICANT = 0.05  # a p-value below it tells two models apart
TEXT = (
    "The share of clouds whose class a CLIP names right, from a render, among its first k guesses, with "
    "the 95 % interval in brackets. The paper's test is one Double Roulette draw, a cloud of each class "
    "(n = {n}). Beside it: mean ± standard deviation over {draws} draws; all {n_test} test clouds, which"
    " are the test objects clean and corrupted; and the clean ones among them (n = {n_clean}). Intervals"
    " are Wilson's; clouds of one object are alike, so they enter with their effective number. The "
    "prompts are of the style `{prompts}`."
)
TEXT_EXTENDED = (
    "The same with each style of prompt: class names as they are written in the dataset (`verbatim`), "
    "with spaces, and an ensemble of phrases. CLIPs that this workflow trains have read none but the "
    "prompts of Table II."
)


def zero_shot_table(
    records: pd.DataFrame,
    style: str,
    preset: str,
    data: str,
    weights: Mapping[str, str],
    seed: int,
    classes: int,
) -> pd.DataFrame:
    """Table II: what share of clouds each CLIP names right, and what one draw of 40 can say about it.

    Args:
        records: `pointspider.study.evaluate.zero_shot.zero_shot_records` of every model.
        style: of the prompts, the one of `zero_shot.class_names`.
        preset, data: what produced the rows: preset and source of the clouds.
        weights: each model's `weights` in params.yaml.
        seed: of the Double Roulette.
        classes: number of classes to choose from; chance is k / classes.

    Returns:
        One row per model, in the order of `records`. For each k: top<k> of the first draw (n clouds) with its
        95 % interval, top<k>_mean and top<k>_std over all draws, top<k>_test of all test clouds (n_test) and
        top<k>_clean of the clean ones (n_clean), each with its interval, top<k>_chance, paper_top<k>, and
        top<k>_difference of the first draw to the paper's with the interval of a difference of two draws.
        `reading` says it in a sentence.

    Raises:
        InputError: a column or one of a model's sets is missing.
    """
    require(records, ("model", "style", "set", "n", "top1", "top1_low", "top1_high"), "zero-shot records")
    rows = []
    for model, own in records[records["style"] == style].groupby("model", sort=False):
        sets = _sets(own, model)
        row = {"preset": preset, "data": data, "model": model, "weights": weights_label(weights[model])}
        row |= {"prompts": style, "seed": seed, "n": int(sets[FIRST_DRAW]["n"]), "draws": len(_draws(own))}
        row |= {"n_test": int(sets[TEST]["n"]), "n_clean": int(sets[CLEAN]["n"])}
        for k in top_ranks(records):
            over_draws = spread(_draws(own)[f"top{k}"])
            row |= {f"top{k}{end}": sets[FIRST_DRAW][f"top{k}{end}"] for end in ENDS}
            row |= {f"top{k}_mean": over_draws.mean, f"top{k}_std": over_draws.deviation}
            for name in (TEST, CLEAN):
                row |= {f"top{k}_{name}{end}": sets[name][f"top{k}{end}"] for end in ENDS}
            row |= {f"top{k}_chance": k / classes}
            row |= _beside_the_paper(k, row, paper_figure(preset, PAPER_ACCURACY.get(model, {}), k))
        rows.append(row | {"reading": _reading(row)})
    return pd.DataFrame(rows)


def extended_table(
    records: pd.DataFrame, preset: str, data: str, weights: Mapping[str, str], seed: int, classes: int
) -> pd.DataFrame:
    """Table II with every style of prompt on every evaluated set.

    Args:
        records, preset, data, weights, seed, classes: see `zero_shot_table`.

    Returns:
        One row per model, style and set: "first draw" and "all draws" of the Double Roulette, "test" clouds
        and "clean" ones. n: clouds, of each draw; draws: how many. For each k: top<k> with its 95 % interval;
        over all draws these are their mean, top<k>_std and the mean's interval (Student's t). top<k>_chance,
        and paper_top<k> beside the first draw.

    Raises:
        InputError: a column or one of a model's sets is missing.
    """
    require(records, ("model", "style", "set", "n", "top1", "top1_low", "top1_high"), "zero-shot records")
    rows = []
    for (model, style), own in records.groupby(["model", "style"], sort=False):
        sets, draws = _sets(own, model), _draws(own)
        common = {"preset": preset, "data": data, "model": model, "weights": weights_label(weights[model])}
        evaluated = {
            "first draw": sets[FIRST_DRAW],
            ALL_DRAWS: _over_draws(draws),
            "test": sets[TEST],
            "clean": sets[CLEAN],
        }
        for name, values in evaluated.items():
            row = {**common, "prompts": style, "set": name, "seed": seed, "n": int(values["n"])}
            row |= {"draws": len(draws) if name == ALL_DRAWS else 1}
            for k in top_ranks(records):
                row |= {f"top{k}{end}": values.get(f"top{k}{end}", np.nan) for end in ("", "_std", *ENDS[1:])}
                row |= {f"top{k}_chance": k / classes}
                beside = PAPER_ACCURACY.get(model, {}) if name == "first draw" else {}
                row |= {f"paper_top{k}": paper_figure(preset, beside, k)}
            rows.append(row)
    return pd.DataFrame(rows)


def pairs_table(pairs: pd.DataFrame, style: str, preset: str, data: str) -> pd.DataFrame:
    """Every pair of models: `pointspider.study.evaluate.zero_shot.compare_models`, with what produced it."""
    pairs = pairs.assign(preset=preset, data=data, prompts=style)
    return pairs[["preset", "data", "prompts", *PAIR]].replace({"set": {FIRST_DRAW: "first draw"}})


ENDS = ("", "_low", "_high")


def top_ranks(frame: pd.DataFrame) -> list[int]:
    """The k of the columns top<k> of Table II or of its records."""
    return [int(match[1]) for name in frame.columns if (match := re.fullmatch(r"top(\d+)", name))]


def _sets(records: pd.DataFrame, model: str) -> pd.DataFrame:
    """The records of one model and style, a column per set."""
    sets = records.set_index("set").T
    for name in (FIRST_DRAW, TEST, CLEAN):
        if name not in sets:
            raise InputError(f"zero-shot records: {model} lacks the set '{name}'. Evaluate it again.")
    return sets


def _draws(records: pd.DataFrame) -> pd.DataFrame:
    return records[records["set"].str.startswith("draw_")]


def _over_draws(draws: pd.DataFrame) -> dict[str, float]:
    """The records of several draws as one: means, standard deviations and the means' intervals."""
    row = {"n": draws["n"].iloc[0]}
    for k in top_ranks(draws):
        known = spread_of_shares(draws[f"top{k}"])
        row |= {f"top{k}{end}": value for end, value in zip(SPREAD, known, strict=True)}
    return row


def _beside_the_paper(k: int, row: Mapping, paper: float) -> dict[str, float]:
    """The paper's top-k accuracy, and what ours on one draw differs from it; missing where it has none."""
    low = high = np.nan
    if not np.isnan(paper):
        ours, theirs = round(row[f"top{k}"] * row["n"]), round(paper * PAPER_CLOUDS)
        low, high = difference_interval((ours, row["n"]), (theirs, PAPER_CLOUDS))
    name = f"top{k}_difference"
    return {f"paper_top{k}": paper, name: row[f"top{k}"] - paper, f"{name}_low": low, f"{name}_high": high}


def _reading(row: Mapping) -> str:
    """What one model's top-1 says: beside the paper's figure if there is one, else beside chance."""
    model, test = row["model"], _share(row, "top1_test")
    if np.isnan(row["paper_top1"]):
        told = "is above" if row["top1_test_low"] > row["top1_chance"] else "is not told from"
        return f"{model} {told} chance, {row['top1_chance']:.3g}: it names {test} of the test clouds."
    agree = row["top1_difference_low"] <= 0 <= row["top1_difference_high"]
    verdict = (
        f"agrees with ours, as far as {PAPER_CLOUDS} clouds can tell"
        if agree
        else f"does not agree with ours, few as {PAPER_CLOUDS} clouds are"
    )
    low, high = wilson_interval(round(row["paper_top1"] * PAPER_CLOUDS), PAPER_CLOUDS)
    inside = "inside" if low <= row["top1_mean"] <= high else "outside"
    return (
        f"{model}: the paper's {row['paper_top1']:.3f} {verdict}. One draw of ours differs from it by "
        f"{_share(row, 'top1_difference', '+')}; our mean over {row['draws']} draws, "
        f"{row['top1_mean']:.3f}, is {inside} the paper's own interval [{low:.2f}, {high:.2f}]; on the test "
        f"clouds ours is {test}."
    )


def _share(row: Mapping, name: str, sign: str = "") -> str:
    """A share or difference with its interval, as far as they exist."""
    value, low, high = (row[f"{name}{end}"] for end in ENDS)
    return number(value, f"{sign}.3f") + ("" if pd.isna(low) else f" [{low:{sign}.2f}, {high:{sign}.2f}]")


# --------------------------------------------------------------------------------------------------- summary


def cells(table: pd.DataFrame) -> Iterator[dict[str, str]]:
    """Table II on the summary page: a row per model and k."""
    for row in table.to_dict("records"):
        for k in top_ranks(table):
            yield {
                "model": row["model"],
                "weights": row["weights"],
                "top": str(k),
                "first draw": _share(row, f"top{k}"),
                "all draws": mean_and_spread(row[f"top{k}_mean"], row[f"top{k}_std"], ".3f"),
                "test": _share(row, f"top{k}_test"),
                "clean": _share(row, f"top{k}_clean"),
                "chance": number(row[f"top{k}_chance"], ".3f"),
                "paper": number(row[f"paper_top{k}"], ".3f"),
                "first draw − paper": _share(row, f"top{k}_difference", "+"),
            }


def extended_cells(extended: pd.DataFrame) -> Iterator[dict[str, str]]:
    """The extended Table II on the summary page, top-1 only: a row per model and style of prompt."""
    for (model, style), own in extended.groupby(["model", "prompts"], sort=False):
        cells = {"model": model, "prompts": style}
        for row in own.to_dict("records"):
            over_draws = mean_and_spread(row["top1"], row["top1_std"], ".3f")
            cells[f"top-1, {row['set']}"] = over_draws if row["set"] == ALL_DRAWS else _share(row, "top1")
        yield cells


def read(table: pd.DataFrame, pairs: pd.DataFrame) -> Iterator[str]:
    """What Table II supports, in sentences.

    Args:
        table: `zero_shot_table`.
        pairs: `pairs_table`.
    """
    yield from table["reading"]
    if pairs.empty:
        return
    if table["paper_top1"].notna().sum() > 1:
        yield _read_best(table, pairs)
        yield _read_papers_ranking(table.dropna(subset="paper_top1"))
    first, test = (pairs[pairs["set"] == name] for name in ("first draw", TEST))
    apart = _told_apart(first)
    yield (
        f"One draw of {first['n'].iloc[0]} clouds tells {len(apart)} of {len(first)} pairs of models apart, "
        f"so it supports {_support(len(apart), len(first))} (McNemar's exact test, Holm's correction, 5 %)."
    )
    apart = _told_apart(test)
    ahead = ": " + "; ".join(f"{better} is ahead of {worse}" for better, worse in apart) if apart else ""
    yield (
        f"The {test['n'].iloc[0]} test clouds, each of their {test['objects'].iloc[0]} objects counted once, "
        f"tell {len(apart)} of {len(test)} apart{ahead}."
    )


def _support(apart: int, pairs: int) -> str:
    """What so many pairs that are told apart say of a ranking."""
    return {0: "no ranking of the models", pairs: "the whole ranking"}.get(apart, "the ranking only in part")


def _read_papers_ranking(table: pd.DataFrame) -> str:
    """What the paper's own figures say of its ranking. It does not tell how its clouds pair."""
    hits = [(round(share * PAPER_CLOUDS), PAPER_CLOUDS) for share in table["paper_top1"]]
    differences = [difference_interval(*pair) for pair in itertools.combinations(hits, 2)]
    apart = sum(low > 0 or high < 0 for low, high in differences)
    return (
        f"The paper's own figures tell {apart} of {len(differences)} pairs apart (95 % intervals of the "
        f"differences of two draws of {PAPER_CLOUDS}), so they support {_support(apart, len(differences))}."
    )


def _told_apart(pairs: pd.DataFrame) -> list[tuple[str, str]]:
    """The pairs whose difference is significant, the better model first."""
    return [
        (row["model"], row["other"])
        if row["objects_ahead"] > row["objects_behind"]
        else (row["other"], row["model"])
        for row in pairs.to_dict("records")
        if row["objects_p_holm"] < SIGNIFICANT
    ]


def _read_best(table: pd.DataFrame, pairs: pd.DataFrame) -> str:
    """Whether the model that is best in the paper is best on our test clouds."""
    theirs = table.loc[table["paper_top1"].idxmax()]
    ours = table.loc[table["top1_test"].idxmax()]
    apart = _told_apart(pairs[pairs["set"] == TEST])
    claim = f"The paper's claim that {theirs['model']} is best"
    if ours["model"] != theirs["model"]:
        sure = "and" if (ours["model"], theirs["model"]) in apart else "though they are not told apart:"
        return (
            f"{claim} does not hold on the test clouds, {sure} {ours['model']} names "
            f"{ours['top1_test']:.3f} of them, it {theirs['top1_test']:.3f}."
        )
    others = table.loc[table["model"] != theirs["model"], "model"]
    level = [other for other in others if (theirs["model"], other) not in apart]
    if level:
        return (
            f"{claim} is not shown: it names most of the test clouds, but is not told from "
            f"{', '.join(level)}."
        )
    return f"{claim} holds: on the test clouds it is ahead of each of the others."
