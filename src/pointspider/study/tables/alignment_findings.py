"""Table III on the summary page: what its columns mean, its rows, and what they support, said by rule."""

from collections.abc import Iterable, Iterator, Mapping

import pandas as pd

from pointspider.mappers.base import LABELS
from pointspider.study.evaluate.alignment import RECALLED
from pointspider.study.evaluate.statistics import wilson_interval
from pointspider.study.tables.alignment import PAPER_L1DIV, TASKS, measure_names
from pointspider.study.tables.common import number

#: Baselines that are blind to the cloud; they name one class, or all alike.
CONSTANTS = ("zero", "mean", "median")
#: Relative difference up to which two L1DIV are called alike; the paper's BASE and RNORM differ by 3 %.
ALIKE = 0.1
TEXT = (
    "A predictor takes {point_encoder}'s embedding of a cloud ({point_weights}) to the {layer} {image_model} "
    "embedding of its render ({image_weights}). L1 is the mean absolute difference between the two on "
    "{n_test} test clouds, after training on {n_train}; L1DIV = 1 / L1, higher is better. Skill is the share "
    "of the training median's L1 that a predictor removes. The first rows are baselines, fitted rather than "
    "trained: *zero*, *mean* and *median* are constants, blind to the cloud; the others are affine maps, as "
    "BASE is one, and *lad* is the one of least L1 on the training clouds; where these are fewer than the "
    "embedding's dimensions, it meets all of them, which says nothing of others. Brackets are 95 % intervals "
    "over the seeds (Student's t). All is after the last epoch, but *best*: after the epoch of least L1 on "
    "the test clouds, which flatters it."
)
TEXT_EXTENDED = (
    "What predictions are good for. Cosine: to the render's embedding, both minus the training mean. "
    "Retrieval is among the clean clouds of the test objects, {objects}, or {classes} where classes are held "
    "out. Image R@k, cloud → image: a prediction finds the render of its cloud within k; cloud R@k, image → "
    "cloud: a render finds the prediction; by chance k / clean clouds. Ranks are medians. All else is "
    "measured on the aligned clouds. Top-k: the class is among the k whose prompts are most similar to the "
    "prediction; *renders* are the renders' own embeddings, *classifier* is the point encoder's classifier. "
    "Held out: `objects`, as in Table III, or `classes`, with predictors that were fitted without the "
    "classes they are tested on."
)


def cells(row: Mapping) -> dict[str, str]:
    """A row of `alignment_table` at a page's width: of the best epoch the paper's measure alone."""
    return {
        "predictor": row["mapper"],
        "seeds": "" if row["seeds"] == "-" else str(len(row["seeds"].split())),
        "diverged": f"{row['diverged']:.0f}" if row["diverged"] else "",
        "L1": number(row["l1_last"], ",.3f") or "none",
        "L1DIV": _interval(row, "l1div_last", ".3f"),
        "skill": _interval(row, "skill_last", "+.1%"),
        "best L1DIV": _interval(row, "l1div_best", ".3f"),
        "best epoch": row["best_epoch"],
        "paper, L1DIV": number(row["paper_l1div"], ".3f"),
    }


def galleries(extended: pd.DataFrame) -> dict[str, int]:
    """How many clean clouds are retrieved from each other, by what is held out; for `TEXT_EXTENDED`."""
    return extended.groupby("split")["gallery"].first().to_dict()


def extended_cells(extended: pd.DataFrame) -> Iterator[dict[str, str]]:
    """The rows of `extended_table` at a page's width: last epochs, retrieval's least and largest k."""
    ends = min(RECALLED), max(RECALLED)
    top = [name for name in measure_names(extended) if name.startswith("top")]
    for row in extended[extended["epoch"] != "best"].to_dict("records"):
        yield {
            "held out": row["split"],
            "predictor": row["mapper"],
            "skill": number(row["skill"], "+.1%"),
            "cosine": number(row["cosine"], ".2f"),
            **{f"image R@{k}": number(row[f"image_r{k}"], ".1%") for k in ends},
            "image rank": number(row["image_rank"], ".1f"),
            **{f"cloud R@{k}": number(row[f"cloud_r{k}"], ".1%") for k in ends},
            "cloud rank": number(row["cloud_rank"], ".1f"),
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
    trained = objects.index[objects["seeds"] != "-"]
    for name in trained:
        yield f"{name} {_beside(objects.loc[name], objects.loc['median'])}"
    notes = objects.loc[(objects["kind"] == "baseline") & (objects["note"] != "-"), "note"]
    told = ", ".join(f"{name} ({note})" for name, note in notes.items())
    yield f"What the fits chose or ran into: {told}."
    yield _fits(objects)
    for name in trained:
        if pd.notna(objects.loc[name, "l1"]):
            yield f"{name} {_beside(objects.loc[name], objects.loc['ridge'])}"
    for name in LABELS.values():
        if pd.notna(objects.loc[name, "l1"]):
            yield f"{name} {_retrieves(objects.loc[name])}"
    yield _named_right(objects)
    for name in trained:
        yield f"On classes held out, {name} {_beside(classes.loc[name], classes.loc['median'])}"
    if table["paper_l1div"].notna().any():
        yield from _beside_the_paper(table.set_index("mapper"))


def _beside(row: pd.Series, other: pd.Series) -> str:
    """Whether a trained predictor beats one of `pointspider.study.evaluate.alignment.COMPARED`.

    A seed is better or worse where the 95 % interval of its paired distance to the other, over the test
    objects or classes, leaves out 0. The predictor is better if every seed is, and the interval over the
    seeds is above 0.
    """
    better, worse = int(row[f"better_{other.name}"]), int(row[f"worse_{other.name}"])
    seeds = len(row["seeds"].split())
    whole, epochs = seeds - int(row["diverged"]), row["diverged_at"].replace(" ", ", ")
    if not whole:
        return f"diverged with every seed (at epoch {epochs}), so it has no L1."
    figures = f"skill {_interval(row, 'skill', '+.1%')}, L1 {row['l1']:.3f} beside {other['l1']:.3f}"
    if better == whole and not row[f"gain_{other.name}_low"] <= 0:
        told = f"is better than {other.name} with {_seeds(better, whole)}: {figures}."
    elif worse == whole:
        told = f"is worse than {other.name} with {_seeds(worse, whole)}: {figures}."
    elif better or worse:
        told = (
            f"is not reliably better than {other.name}: better with {better}, worse with {worse} of {whole} "
            f"seeds; {figures}."
        )
    else:
        told = f"is not told apart from {other.name}: {figures}."
    if whole < seeds:
        told += f" Left out: {seeds - whole} of {seeds} seeds, which diverged (at epoch {epochs})."
    return told


def _seeds(count: int, whole: int) -> str:
    return "its one seed" if whole == 1 else f"all {count} seeds"


def _fits(rows: pd.DataFrame) -> str:
    """What the fits without seeds come to, and the one that trained predictors are compared with."""
    fits = rows[(rows["kind"] == "baseline") & (rows["seeds"] == "-")]
    level = fits.index[(fits["better_median"] == 0) & (fits.index != "median")]
    return (
        f"Training and depth earn what they gain over ridge, whose λ is chosen without the test clouds: "
        f"skill {rows.loc['ridge', 'skill']:+.1%}. Fits that are not shown to be better than the median: "
        f"{', '.join(level) or 'none'}."
    )


def _retrieves(row: pd.Series) -> str:
    """Whether a mapper retrieves: the Wilson interval, one trial per test object, lies above chance."""
    objects = int(row["gallery"])
    possible = [k for k in RECALLED if k < objects]
    if not possible:
        return f"cannot be judged by retrieval among {objects} test objects."
    k = max(possible)
    chance, above, told = row[f"chance_r{k}"], 0, []
    for what, direction in (("image", "cloud → image"), ("cloud", "image → cloud")):
        share, low, high = _share(row, f"{what}_r{k}")
        above += low > chance
        first = "" if k == 1 else f", R@1 {row[f'{what}_r1']:.1%}"
        told.append(f"{direction} R@{k} {share:.1%} [{low:.1%}, {high:.1%}]{first}")
    verdict = (
        "does not retrieve above chance",
        "retrieves above chance one way only",
        "retrieves above chance",
    )
    return f"{verdict[above]}, which is {chance:.1%} for R@{k}: {'; '.join(told)}."


def _share(row: pd.Series, name: str) -> tuple[float, float, float]:
    """A share of the test objects, its mean over the seeds, with Wilson's interval."""
    share = min(row[name], 1)
    return share, *wilson_interval(share * row["objects"], row["objects"])


def _named_right(rows: pd.DataFrame) -> str:
    """The mapped clouds' top-1 beside that of the renders, of the point encoder's classifier, and chance."""
    fits = rows.loc[(rows["kind"] == "baseline") & ~rows.index.isin(CONSTANTS), "top1"]

    def told(names: Iterable[str]) -> str:
        shares = {name: _share(rows.loc[name], "top1") for name in names if pd.notna(rows.loc[name, "top1"])}
        return ", ".join(
            f"{name} {share:.1%} [{low:.1%}, {high:.1%}]" for name, (share, low, high) in shares.items()
        )

    references = rows.index[rows["kind"] == "reference"]
    return (
        f"A mapped cloud's class is named right, top-1: {told([*LABELS.values(), fits.idxmax()])} (the "
        f"baseline that names most). Beside it: {told(references)}; by chance {rows.loc['zero', 'top1']:.1%}."
    )


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
    claim = "The paper's claim, that LNORM is best and BASE and RNORM are alike,"
    diverged = [name for name in LABELS.values() if pd.isna(rows.loc[name, "l1div_last"])]
    if diverged:
        yield f"{claim} cannot be judged: {' and '.join(diverged)} diverged."
        return
    best = all(lnorm["l1div_last_low"] > other["l1div_last_high"] for other in (base, rnorm))
    alike = abs(base["l1div_last"] / rnorm["l1div_last"] - 1) <= ALIKE
    verdict = ("does not hold", "holds in part", "holds")[int(best) + int(alike)]
    yield (
        f"{claim} {verdict}: LNORM's interval is "
        f"{'' if best else 'not '}above both others', and BASE and RNORM are {'' if alike else 'not '}within "
        f"{ALIKE:.0%} of each other."
    )


def _interval(row: Mapping, name: str, spec: str) -> str:
    """Mean [low, high], as far as they exist."""
    if pd.isna(row[name]) or pd.isna(row[f"{name}_low"]):
        return number(row[name], spec)
    return f"{row[name]:{spec}} [{row[f'{name}_low']:{spec}}, {row[f'{name}_high']:{spec}}]"
