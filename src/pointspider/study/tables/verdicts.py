"""What the tables support: verdicts by rule, as objects. The templates turn them into sentences."""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import pandas as pd

from pointspider.mappers.base import LABELS
from pointspider.study.evaluate.alignment import RECALLED
from pointspider.study.evaluate.statistics import difference_interval, wilson_interval
from pointspider.study.evaluate.zero_shot import FIRST_DRAW, TEST
from pointspider.study.tables.alignment import PAPER_L1DIV
from pointspider.study.tables.speed import NEXT_SLOWER, PAPER_POINTS_PER_SECOND
from pointspider.study.tables.zero_shot import ALL_DRAWS, PAPER_CLOUDS

#: Baselines that do not depend on the cloud.
CONSTANTS = ("zero", "mean", "median")
#: Two L1DIV are called equal up to this relative difference; the paper's BASE and RNORM differ by 3 %.
EQUAL = 0.1
#: A p-value below it separates two models.
SIGNIFICANT = 0.05


class Decision(StrEnum):
    """The outcome of a comparison."""

    BETTER = "better"
    WORSE = "worse"
    MIXED = "mixed"  # some seeds are better or worse, but not all
    UNDECIDED = "undecided"  # the interval contains equality
    DIVERGED = "diverged"  # every training did
    HOLDS = "holds"
    IN_PART = "in_part"
    FAILS = "fails"
    NOT_COMPARABLE = "not_comparable"  # for the reason in figures["reason"]


@dataclass(frozen=True)
class Verdict:
    """One comparison and its outcome.

    Attributes:
        subject: a predictor, model or variant.
        comparison: what the subject is compared with; the templates have a sentence for each.
        decision: the outcome.
        figures: the numbers behind it, by name.
    """

    subject: str
    comparison: str
    decision: Decision
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval, whose ends are NaN if there is none."""

    value: float
    low: float = float("nan")
    high: float = float("nan")


def estimate(table: pd.DataFrame, **key: str) -> Estimate | None:
    """The one row of a tidy table that `key` selects, or None."""
    for name, value in key.items():
        table = table[table[name] == value]
    return None if table.empty else Estimate(*map(float, table[["value", "low", "high"]].iloc[0]))


def _known(table: pd.DataFrame, **key: str) -> Estimate:
    """`estimate` of a row that every table has."""
    found = estimate(table, **key)
    if found is None:
        raise KeyError(key)
    return found


# ---------------------------------------------------------------------------------------------------- Table I


def speed_verdicts(
    table1: pd.DataFrame, measures: pd.DataFrame, variants: Mapping[str, Mapping[str, str]]
) -> list[Verdict]:
    """Verdicts of Table I: ours against the reference, and the paper's order of the variants."""
    verdicts = []
    figures: dict[str, Any]
    for variant, facts in variants.items():
        rows = table1[(table1["variant"] == variant) & (table1["status"] == "measured")]
        if rows.empty:
            verdicts.append(Verdict(variant, "reference", Decision.NOT_COMPARABLE, facts))
            continue
        reference, *ours = rows.to_dict("records")
        faster = all(row["ratio"] > 1 for row in ours)
        figures = {"device": facts["device"], "reference": reference, "ours": ours}
        decision = Decision.BETTER if faster else Decision.MIXED
        verdicts.append(Verdict(variant, "reference", decision, figures))
    if table1["paper_points_per_second"].isna().all():
        return verdicts
    references = measures[measures["method"] == "reference"]
    for variant in PAPER_POINTS_PER_SECOND:
        times = estimate(references, variant=variant, measure="times_paper")
        if times:
            rate = estimate(references, variant=variant, measure="points_per_second")
            figures = {"paper": PAPER_POINTS_PER_SECOND[variant], "rate": rate, "times": times.value}
            decision = Decision.BETTER if times.value > 1 else Decision.WORSE
            verdicts.append(Verdict(variant, "paper", decision, figures))
    return verdicts + [_order(references, *pair) for pair in NEXT_SLOWER.items()]


def _order(references: pd.DataFrame, faster: str, slower: str) -> Verdict:
    """Whether `faster` is faster than `slower` here, as in the paper."""
    paper = PAPER_POINTS_PER_SECOND[faster] / PAPER_POINTS_PER_SECOND[slower]
    figures: dict[str, Any] = {"slower": slower, "paper": paper}

    def verdict(decision: Decision, **more: object) -> Verdict:
        return Verdict(faster, "next_slower", decision, figures | more)

    for variant in (faster, slower):
        if variant not in set(references["variant"]):
            return verdict(Decision.NOT_COMPARABLE, reason="unavailable", variant=variant)
    own = references[references["variant"] == faster]
    times = estimate(own, measure="times_slower")
    if times is None:
        return verdict(Decision.NOT_COMPARABLE, reason="unequal_pictures")
    figures |= {"times": times, **own[["resolution", "samples_per_pixel", "n"]].iloc[0]}
    if (
        estimate(own, measure="times_paper") is None
    ):  # small pictures time the scenes rather than the rendering
        return verdict(Decision.NOT_COMPARABLE, reason="other_pictures")
    if pd.isna(times.low):
        return verdict(Decision.NOT_COMPARABLE, reason="few_clouds")
    place = "above" if paper > times.high else "below" if paper < times.low else "inside"
    decision = Decision.HOLDS if times.low > 1 else Decision.FAILS if times.high < 1 else Decision.UNDECIDED
    return verdict(decision, place=place)


# --------------------------------------------------------------------------------------------------- Table II


def zero_shot_verdicts(measures: pd.DataFrame, pairs: pd.DataFrame, prompts: str) -> list[Verdict]:
    """Verdicts of Table II: each model, the best model, and how many pairs of models differ.

    Args:
        measures: the table `zero_shot`.
        pairs: the table `model_pairs`.
        prompts: the style of Table II.
    """
    top1 = measures[(measures["prompts"] == prompts) & measures["measure"].str.startswith("top1")]
    models = list(dict.fromkeys(top1["model"]))
    known = top1[top1["paper"].notna()]
    papers = dict(zip(known["model"], known["paper"].astype(float), strict=True))
    verdicts = [_model(top1[top1["model"] == model], model, papers.get(model)) for model in models]
    if pairs.empty:
        return verdicts
    if len(papers) > 1:
        verdicts += [_best(top1, pairs, papers), _paper_ranking(papers)]
    for name in (FIRST_DRAW, TEST):
        own, clouds = (
            pairs[(pairs["set"] == name) & (pairs["unit"] == unit)] for unit in ("objects", "clouds")
        )
        different = different_models(pairs, name)
        figures = {"pairs": len(own), "different": different, "set": name}
        figures |= {"clouds": int(clouds["n"].iloc[0]), "n": int(own["n"].iloc[0])}
        verdicts.append(Verdict("models", "pairs", _support(len(different), len(own)), figures))
    return verdicts


def different_models(pairs: pd.DataFrame, name: str) -> list[tuple[str, str]]:
    """The pairs of models whose difference over objects is significant on a set, the better model first."""
    own = pairs[(pairs["set"] == name) & (pairs["unit"] == "objects") & (pairs["p_holm"] < SIGNIFICANT)]
    return [
        (row["model"], row["other"]) if row["ahead"] > row["behind"] else (row["other"], row["model"])
        for row in own.to_dict("records")
    ]


def _support(different: int, pairs: int) -> Decision:
    """Whether so many different pairs support a ranking."""
    return {0: Decision.UNDECIDED, pairs: Decision.HOLDS}.get(different, Decision.IN_PART)


def _model(top1: pd.DataFrame, model: str, paper: float | None) -> Verdict:
    """One model against chance, or against the paper's figure if there is one."""
    test = _known(top1, set=TEST, measure="top1")
    chance = float(top1["chance"].dropna().iloc[0])
    figures: dict[str, Any] = {
        "test": test,
        "chance": chance,
        "n": int(top1[top1["set"] == TEST]["n"].iloc[0]),
    }
    if paper is None:
        decision = Decision.BETTER if test.low > chance else Decision.UNDECIDED
        return Verdict(model, "chance", decision, figures)
    difference = _known(top1, set=FIRST_DRAW, measure="top1_minus_paper")
    mean = _known(top1, set=ALL_DRAWS, measure="top1")
    low, high = wilson_interval(round(paper * PAPER_CLOUDS), PAPER_CLOUDS)
    draws = top1[(top1["measure"] == "top1") & top1["set"].str.startswith("draw_")]
    figures |= {"paper": paper, "paper_low": low, "paper_high": high, "paper_clouds": PAPER_CLOUDS}
    figures |= {"difference": difference, "mean": mean.value, "draws": len(draws)}
    figures |= {"inside": low <= mean.value <= high}
    agrees = difference.low <= 0 <= difference.high
    return Verdict(model, "paper", Decision.HOLDS if agrees else Decision.FAILS, figures)


def _best(top1: pd.DataFrame, pairs: pd.DataFrame, papers: Mapping[str, float]) -> Verdict:
    """Whether the model that is best in the paper is best on the test clouds."""
    test = top1[(top1["set"] == TEST) & (top1["measure"] == "top1")].set_index("model")["value"]
    theirs, ours = max(papers, key=lambda model: papers[model]), str(test.idxmax())
    different = different_models(pairs, TEST)
    figures: dict[str, Any] = {"ours": ours, "best": float(test[ours]), "value": float(test[theirs])}
    if ours != theirs:
        figures["significant"] = (ours, theirs) in different
        return Verdict(theirs, "best", Decision.FAILS, figures)
    figures["level"] = [model for model in test.index if model != theirs and (theirs, model) not in different]
    return Verdict(theirs, "best", Decision.UNDECIDED if figures["level"] else Decision.HOLDS, figures)


def _paper_ranking(papers: Mapping[str, float]) -> Verdict:
    """Whether the paper's figures support its ranking; the paper does not state how its clouds are paired."""
    hits = [(round(share * PAPER_CLOUDS), PAPER_CLOUDS) for share in papers.values()]
    differences = [difference_interval(*pair) for pair in itertools.combinations(hits, 2)]
    different = sum(low > 0 or high < 0 for low, high in differences)
    figures = {"pairs": len(differences), "different": different, "clouds": PAPER_CLOUDS}
    return Verdict("paper", "paper_ranking", _support(different, len(differences)), figures)


# -------------------------------------------------------------------------------------------------- Table III


@dataclass(frozen=True)
class Alignment:
    """The tidy tables of Table III: `table3`, `alignment`, `gains`, `predictors` and `splits`."""

    table: pd.DataFrame
    measures: pd.DataFrame
    gains: pd.DataFrame
    facts: pd.DataFrame
    splits: pd.DataFrame

    def trained(self) -> list[str]:
        """The predictors with seeds, in the order of Table III."""
        return list(self.table.loc[self.table["seeds"] > 0, "predictor"])

    def size(self, name: str) -> int:
        """A column of `splits`, with objects held out."""
        return int(self.splits.loc[self.splits["split"] == "objects", name].iloc[0])

    def value(self, predictor: str, measure: str, split: str = "objects") -> Estimate | None:
        """A measure after the last epoch, or None."""
        last = self.measures[self.measures["epoch"] != "best"]
        return estimate(last, split=split, predictor=predictor, measure=measure)

    def verdicts(self) -> list[Verdict]:
        """Every verdict of Table III, grouped by comparison."""
        mappers = [name for name in LABELS.values() if self.value(name, "l1")]
        verdicts = [self.against(name, "median", "objects") for name in self.trained()]
        verdicts += [self._fits()]
        verdicts += [
            self.against(name, "ridge", "objects") for name in self.trained() if self.value(name, "l1")
        ]
        verdicts += [self._retrieval(name) for name in mappers]
        verdicts += [self._classification(mappers)]
        verdicts += [self.against(name, "median", "classes") for name in self.trained()]
        if self.table["paper_l1div"].notna().any():
            verdicts += [self._paper(name) for name in PAPER_L1DIV] + [self._claim()]
        return verdicts

    def against(self, predictor: str, other: str, split: str) -> Verdict:
        """Whether a trained predictor beats the median or ridge.

        A seed is better or worse if the 95 % interval of its gain, over the test objects or classes, excludes
        0. The predictor is better if every seed is, and the interval over the seeds does not reach 0.
        """
        own = self.facts[(self.facts["split"] == split) & (self.facts["predictor"] == predictor)]
        diverged = own.loc[own["fact"] == "diverged_at", "value"].astype(int).tolist()
        comparison = f"{other}_{split}"
        figures: dict[str, Any] = {"seeds": own["seed"].nunique(), "diverged_at": diverged, "other": other}
        rows = self.gains
        for name, value in (("split", split), ("predictor", predictor), ("other", other), ("epoch", "last")):
            rows = rows[rows[name] == value]
        if rows.empty:
            return Verdict(predictor, comparison, Decision.DIVERGED, figures)
        gain = rows.iloc[0]
        n, better, worse = int(gain["n"]), int(gain["better"]), int(gain["worse"])
        figures |= {"n": n, "better": better, "worse": worse}
        figures |= {name: self.value(predictor, name, split) for name in ("l1", "skill")}
        figures["other_l1"] = self.value(other, "l1", split)
        decision = Decision.UNDECIDED
        if better == n and not gain["low"] <= 0:
            decision = Decision.BETTER
        elif worse == n:
            decision = Decision.WORSE
        elif better or worse:
            decision = Decision.MIXED
        return Verdict(predictor, comparison, decision, figures)

    def _fits(self) -> Verdict:
        """Ridge, and the fits that are not better than the median."""
        fits = self.gains[self.gains["split"] == "objects"]
        fits = fits[(fits["epoch"] == "fit") & (fits["other"] == "median") & (fits["better"] == 0)]
        level = [name for name in fits["predictor"] if name != "median"]
        chosen: dict[str, dict[str, float]] = {}
        baselines = self.facts[(self.facts["split"] == "objects") & self.facts["seed"].isna()]
        for row in baselines[baselines["fact"] != "l1_train"].to_dict("records"):
            chosen.setdefault(row["predictor"], {})[row["fact"]] = row["value"]
        figures = {"skill": self.value("ridge", "skill"), "level": level, "chosen": chosen}
        return Verdict("ridge", "fits", Decision.UNDECIDED if "ridge" in level else Decision.BETTER, figures)

    def _retrieval(self, predictor: str) -> Verdict:
        """Whether a mapper retrieves: Wilson's interval, one trial per test object, is above chance."""
        gallery = self.size("gallery")
        possible = [k for k in RECALLED if k < gallery]
        if not possible:
            figures = {"reason": "few_objects", "gallery": gallery}
            return Verdict(predictor, "retrieval", Decision.NOT_COMPARABLE, figures)
        k = max(possible)
        chance = min(k / gallery, 1)
        recalls = {what: self._share(predictor, f"{what}_r{k}") for what in ("image", "cloud")}
        first = {what: self._share(predictor, f"{what}_r1") for what in ("image", "cloud")}
        above = sum(recall.low > chance for recall in recalls.values())
        decision = (Decision.FAILS, Decision.IN_PART, Decision.HOLDS)[above]
        return Verdict(
            predictor, "retrieval", decision, {"k": k, "chance": chance, "recalls": recalls, "first": first}
        )

    def _classification(self, mappers: Iterable[str]) -> Verdict:
        """Top-1 of the mapped clouds, of the best fit and of the references."""
        fits = self.table[(self.table["kind"] == "baseline") & (self.table["top1"].notna())]
        fits = fits[~fits["predictor"].isin(CONSTANTS)]
        rows = self.measures[(self.measures["split"] == "objects") & (self.measures["measure"] == "top1")]
        references = list(rows.loc[rows["kind"] == "reference", "predictor"])
        best = str(fits.sort_values("top1", ascending=False, kind="stable")["predictor"].iloc[0])
        top1 = {name: self._share(name, "top1") for name in [*mappers, best, *references]}
        chance = self.value("zero", "top1")
        above = [name for name in mappers if chance and top1[name].low > chance.value]
        decision = {0: Decision.FAILS, len(list(mappers)): Decision.HOLDS}.get(len(above), Decision.IN_PART)
        figures = {"top1": top1, "mappers": list(mappers), "best_fit": best, "references": references}
        return Verdict("mappers", "classification", decision, figures | {"chance": chance})

    def _share(self, predictor: str, measure: str) -> Estimate:
        """A share of the test objects, its mean over the seeds, with Wilson's interval."""
        objects = self.size("objects")
        last = self.measures[self.measures["epoch"] != "best"]
        share = min(_known(last, split="objects", predictor=predictor, measure=measure).value, 1)
        return Estimate(share, *wilson_interval(share * objects, objects))

    def _paper(self, predictor: str) -> Verdict:
        """Our L1DIV against the paper's."""
        paper, ours = PAPER_L1DIV[predictor], self.value(predictor, "l1div")
        figures: dict[str, Any] = {"paper": paper, "ours": ours}
        if ours is None:
            return Verdict(predictor, "paper_l1div", Decision.DIVERGED, figures)
        decision = Decision.BETTER if ours.value > paper else Decision.WORSE
        return Verdict(predictor, "paper_l1div", decision, figures | {"difference": ours.value - paper})

    def _claim(self) -> Verdict:
        """The paper's claim: LNORM is best, BASE and RNORM are equal."""
        known = {name: self.value(name, "l1div") for name in LABELS.values()}
        diverged = [name for name, value in known.items() if value is None]
        if diverged:
            figures: dict[str, Any] = {"reason": "diverged", "diverged": diverged}
            return Verdict("LNORM", "claim", Decision.NOT_COMPARABLE, figures)
        base, lnorm, rnorm = (value for value in known.values() if value is not None)
        best = all(lnorm.low > other.high for other in (base, rnorm))
        equal = abs(base.value / rnorm.value - 1) <= EQUAL
        decision = (Decision.FAILS, Decision.IN_PART, Decision.HOLDS)[int(best) + int(equal)]
        return Verdict("LNORM", "claim", decision, {"best": best, "equal": equal, "tolerance": EQUAL})
