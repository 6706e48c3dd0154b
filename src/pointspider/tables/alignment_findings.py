"""Table III on the summary page: what its columns mean, its rows, and what they support, said by rule."""

from collections.abc import Iterator, Mapping

import pandas as pd

from pointspider.evaluate.alignment import RECALLED
from pointspider.evaluate.statistics import wilson_interval
from pointspider.mapper import LABELS
from pointspider.tables.alignment import PAPER_L1DIV, TASKS, measure_names
from pointspider.tables.common import number

#: Relative difference up to which two L1DIV are called alike; the paper's BASE and RNORM differ by 3 %.
ALIKE = 0.1
TEXT = (
    "A predictor takes {point_encoder}'s embedding of a cloud ({point_weights}) to the {layer} {image_model} "
    "embedding of its render ({image_weights}). L1 is the mean absolute difference between the two on "
    "{n_test} test clouds, after training on {n_train}; L1DIV = 1 / L1, higher is better. Skill is the share "
    "of the training median's L1 that a predictor removes. The first rows are baselines, fitted rather than "
    "trained: *zero*, *mean* and *median* are constants, blind to the cloud; the others are affine maps, as "
    "BASE is one, and *lad* is the optimum of the mappers' own loss among them. Brackets are 95 % intervals "
    "over the seeds (Student's t). The best epoch is chosen on the test clouds, which flatters it."
)
TEXT_EXTENDED = (
    "What predictions are good for. Cosine: to the render's embedding, both minus the training mean. "
    "R@k: a prediction finds the render of its cloud among those of all {objects} test objects (cloud → "
    "image), or a render the prediction (image → cloud), within k; by chance k / {objects}. Top-k: the class "
    "is among the k whose prompts are most similar to the prediction; *renders* are the renders' own "
    "embeddings, *classifier* is the point encoder's classifier. Held out: `objects`, as in Table III, or "
    "`classes`, with predictors that were fitted without the classes they are tested on."
)


def cells(row: Mapping) -> dict[str, str]:
    """A row of `alignment_table`."""
    cells = {"predictor": row["mapper"], "seeds": row["seeds"], "diverged": number(row["diverged"], ".0f")}
    for epoch in ("last", "best"):
        cells |= {
            f"L1, {epoch}": number(row[f"l1_{epoch}"], ",.3f") or "none",
            f"L1DIV, {epoch}": _interval(row, f"l1div_{epoch}", ".3f"),
            f"skill, {epoch}": _interval(row, f"skill_{epoch}", "+.1%"),
        }
    cells |= {"best epoch": row["best_epoch"], "fit": row["note"]}
    return cells | {
        "paper, L1DIV": number(row["paper_l1div"], ".3f"),
        "− paper": number(row["l1div_difference"], "+.3f"),
    }


def extended_cells(extended: pd.DataFrame) -> Iterator[dict[str, str]]:
    """The rows of `extended_table`: last epochs, means over the seeds."""
    top = [name for name in measure_names(extended) if name.startswith("top")]
    for row in extended[extended["epoch"] != "best"].to_dict("records"):
        yield {
            "held out": row["split"],
            "predictor": row["mapper"],
            "skill": number(row["skill"], "+.1%"),
            "cosine": number(row["cosine"], ".2f"),
            **{f"cloud → image, R@{k}": number(row[f"image_r{k}"], ".1%") for k in RECALLED},
            "rank": number(row["image_rank"], ".1f"),
            **{f"image → cloud, R@{k}": number(row[f"cloud_r{k}"], ".1%") for k in RECALLED},
            "rank ": number(row["cloud_rank"], ".1f"),
            **{f"top-{name[3:]}": number(row[name], ".1%") for name in top},
        }


def read(table: pd.DataFrame, extended: pd.DataFrame) -> Iterator[str]:
    """What the tables support, in sentences.

    Args:
        table: `alignment_table`.
        extended: `extended_table`.
    """
    last = extended[extended["epoch"] != "best"]
    objects, classes = (last[last["split"] == split].set_index("mapper") for split in TASKS)
    for name in LABELS.values():
        yield f"{name} {_beside_the_median(objects.loc[name], objects.loc['median'])}"
    yield from _beside_the_best_baseline(objects)
    for name in LABELS.values():
        if pd.notna(objects.loc[name, "l1"]):
            yield f"{name} {_retrieves(objects.loc[name])}"
    yield _named_right(objects)
    for name in LABELS.values():
        yield f"On classes held out, {name} {_beside_the_median(classes.loc[name], classes.loc['median'])}"
    if table["paper_l1div"].notna().any():
        yield from _beside_the_paper(table.set_index("mapper"))


def _beside_the_median(row: pd.Series, median: pd.Series) -> str:
    """Whether a mapper beats a constant.

    A seed is better or worse where the 95 % interval of its distance to the median, over the test objects,
    leaves out 0. The mapper is better if every seed is, and the interval over the seeds is above 0.
    """
    better, worse, seeds = int(row["better"]), int(row["worse"]), len(row["seeds"].split())
    whole, epochs = seeds - int(row["diverged"]), row["diverged_at"].replace(" ", ", ")
    if not whole:
        return f"diverged with every seed (at epoch {epochs}), so it has no L1."
    skill = f"skill {_interval(row, 'skill', '+.1%')}"
    if better == whole and not row["skill_low"] <= 0:
        told = f"is better than the median with {_seeds(better, whole)}: {skill}."
    elif worse == whole:
        ratio = row["l1"] / median["l1"]
        told = (
            f"is not better than the median but worse, with {_seeds(worse, whole)}: {ratio:.3g} times its L1."
        )
    elif better or worse:
        told = (
            f"is not reliably better than the median: better with {better}, worse with {worse} of {whole} "
            f"seeds; {skill}."
        )
    else:
        told = f"is not better than the median, a constant does as well: {skill}."
    if whole < seeds:
        told += f" Left out: {seeds - whole} of {seeds} seeds, which diverged (at epoch {epochs})."
    return told


def _seeds(count: int, whole: int) -> str:
    if whole == 1:
        return "its one seed"
    return f"all {count} seeds" if count == whole else f"{count} of {whole} seeds"


def _beside_the_best_baseline(rows: pd.DataFrame) -> Iterator[str]:
    """Whether training and depth earn anything over a fitted map."""
    baselines = rows[rows["kind"] == "baseline"]
    best = baselines.loc[baselines["l1"].idxmin()]
    others = baselines.index[(baselines["better"] == 0) & (baselines.index != "median")]
    yield (
        f"The best baseline is {best.name}: skill {best['skill']:+.1%}. Not better than the median are "
        f"{', '.join(others) or 'none'}."
    )
    for name in LABELS.values():
        row = rows.loc[name]
        if pd.isna(row["l1"]):
            continue
        low, high = row[["l1_low", "l1_high"]].fillna(row["l1"])  # one seed has no interval
        if high < best["l1"]:
            told = "is better than"
        elif low > best["l1"]:
            told = "is worse than"
        else:
            told = "is not told apart from"
        yield f"{name} {told} {best.name}: L1 {_interval(row, 'l1', '.3f')}, beside {best['l1']:.3f}."


def _retrieves(row: pd.Series) -> str:
    """Whether a mapper retrieves: the Wilson interval, one trial per test object, lies above chance."""
    k, objects = max(RECALLED), int(row["objects"])
    chance, above, told = row[f"chance_r{k}"], 0, []
    for what, direction in (("image", "cloud → image"), ("cloud", "image → cloud")):
        recall = min(row[f"{what}_r{k}"], 1)
        low, high = wilson_interval(recall * objects, objects)
        above += low > chance
        told.append(f"{direction} R@{k} {recall:.1%} [{low:.1%}, {high:.1%}], R@1 {row[f'{what}_r1']:.1%}")
    verdict = (
        "does not retrieve above chance",
        "retrieves above chance one way only",
        "retrieves above chance",
    )
    return f"{verdict[above]}, which is {chance:.1%} for R@{k}: {'; '.join(told)}."


def _named_right(rows: pd.DataFrame) -> str:
    """The mapped clouds' top-1 beside that of the renders and of the point encoder's classifier."""
    baselines = rows.loc[rows["kind"] == "baseline", "top1"]
    shares = {name: rows.loc[name, "top1"] for name in (*LABELS.values(), baselines.idxmax())}
    mapped = ", ".join(f"{name} {share:.1%}" for name, share in shares.items() if pd.notna(share))
    others = {"renders": "the renders themselves", "classifier": "the point encoder's classifier"}
    beside = ", ".join(
        f"{told} {rows.loc[name, 'top1']:.1%}" for name, told in others.items() if name in rows.index
    )
    return f"A mapped cloud's class is named right, top-1: {mapped} (the best baseline). Beside it: {beside}."


def _beside_the_paper(rows: pd.DataFrame) -> Iterator[str]:
    """Our L1DIV minus the paper's, and whether its claim holds: LNORM best, BASE and RNORM alike."""
    for name, paper in PAPER_L1DIV.items():
        row = rows.loc[name]
        if pd.isna(row["l1div_last"]):
            yield f"{name}: the paper's L1DIV is {paper:.3f}; ours diverged."
        else:
            yield (
                f"{name}: the paper's L1DIV is {paper:.3f}, ours {_interval(row, 'l1div_last', '.3f')}, "
                f"{row['l1div_difference']:+.3f}."
            )
    base, lnorm, rnorm = (rows.loc[name] for name in LABELS.values())
    best = all(lnorm["l1div_last_low"] > other["l1div_last_high"] for other in (base, rnorm))
    alike = abs(base["l1div_last"] / rnorm["l1div_last"] - 1) <= ALIKE
    verdict = ("does not hold", "holds in part", "holds")[int(best) + int(alike)]
    yield (
        f"The paper's claim, that LNORM is best and BASE and RNORM are alike, {verdict}: LNORM's interval is "
        f"{'' if best else 'not '}above both others', and BASE and RNORM are {'' if alike else 'not '}within "
        f"{ALIKE:.0%} of each other."
    )


def _interval(row: Mapping, name: str, spec: str) -> str:
    """Mean [low, high], as far as they exist."""
    if pd.isna(row[name]) or pd.isna(row[f"{name}_low"]):
        return number(row[name], spec)
    return f"{row[name]:{spec}} [{row[f'{name}_low']:{spec}}, {row[f'{name}_high']:{spec}}]"
