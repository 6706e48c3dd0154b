"""Table V: search by mapped clouds, by renders and by point features; and the seconds of each path."""

import itertools
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from pointspider.study.evaluate.search import RECALLED, SEARCHES
from pointspider.study.evaluate.statistics import clustered_interval, spread, spread_of_shares
from pointspider.study.tables.common import require
from pointspider.study.tables.schemas import SCHEMAS, validate
from pointspider.study.tables.verdicts import Decision, Estimate, Verdict, estimate

PATH = ["path", "model"]
#: Measures of a query, as `search_records` names them. The mean of ap is called map.
MEASURES = [f"{search}_{measure}" for search in SEARCHES for measure in ("ap", *(f"r{k}" for k in RECALLED))]
ALL = "all"
#: Steps from a cloud to an embedding, by path.
STEPS = {
    "renders": ("render", "image_embedding"),
    "points": ("point_embedding",),
    "mapped": ("point_embedding", "prediction"),
}


def search_measures(records: pd.DataFrame, duplicates: pd.DataFrame) -> pd.DataFrame:
    """Average the queries: all, by severity, and by corruption level.

    Args:
        records: `pointspider.study.evaluate.search.search_records`.
        duplicates: the first frame of `duplicate_records`.

    Returns:
        The table `search`. corruption and severity are `all` and empty where they are averaged; severity 0
        is clean. n counts queries that have something to find, of duplicates the duplicates. low and high
        are the 95 % interval over the objects: Student's for mAP, whose values are first averaged by object,
        and Wilson's at the effective number of queries for r<k>.

    Raises:
        InputError: a column is missing.
    """
    require(records, [*PATH, "class", "object", "corruption", "severity", *MEASURES], "search records")
    rows: list[list[object]] = []
    for (path, model), own in records.groupby(PATH, sort=False):
        groups: list[tuple[Any, Any, pd.DataFrame]] = [(ALL, None, own)]
        groups += [(ALL, severity, part) for severity, part in own.groupby("severity")]
        levels = own.groupby(["corruption", "severity"], sort=False)
        groups += [(level[0], level[1], part) for level, part in levels]
        for corruption, severity, part in groups:
            clusters = (part["class"] + "/" + part["object"].astype(str)).to_numpy()
            for measure in MEASURES:
                counted = part[measure].notna().to_numpy()
                if counted.any():
                    values = part.loc[counted, measure].to_numpy(np.float64)
                    found = _over_objects(measure, values, clusters[counted])
                    name = measure.replace("_ap", "_map")
                    rows.append([path, model, name, corruption, severity, int(counted.sum()), *found])
    for row in duplicates.to_dict("records"):
        severity = row["severity"] or None
        estimates = [row["n"], row["value"], row["low"], row["high"]]
        rows.append([row["path"], row["model"], row["measure"], ALL, severity, *estimates])
    return validate("search", pd.DataFrame(rows, columns=list(SCHEMAS["search"])))


def search_table(measures: pd.DataFrame) -> pd.DataFrame:
    """Table V: a row per path, over all test clouds."""
    total = measures[(measures["corruption"] == ALL) & measures["severity"].isna()]
    rows = []
    for (path, model), own in total.groupby(PATH, sort=False):
        known = own.set_index("measure")
        row: dict[str, object] = {"path": path, "model": model}
        for search in SEARCHES:
            ends = {"": "value", "_low": "low", "_high": "high"}
            row |= {f"{search}_map{end}": known.loc[f"{search}_map", column] for end, column in ends.items()}
            row[f"{search}_r1"] = known.loc[f"{search}_r1", "value"]
        row |= {name: known.loc[name, "value"] for name in ("duplicate_ap", "duplicate_recall")}
        rows.append(row)
    return validate("table5", pd.DataFrame(rows)[list(SCHEMAS["table5"])])


def search_differences(records: pd.DataFrame) -> pd.DataFrame:
    """The table `search_differences`: mAP of each mapped path minus that of renders and of points.

    value is the mean over the `n` objects, low and high its 95 % interval (Student's t), paired by object.
    """
    paths = {key: own for key, own in records.groupby(PATH, sort=False)}
    mapped = [key for key in paths if key[0] == "mapped"]
    others = [key for key in paths if key[0] != "mapped"]
    rows = []
    for key, other, search in itertools.product(mapped, others, SEARCHES):
        first, second = (
            paths[of].groupby(["class", "object"], sort=False)[f"{search}_ap"].mean() for of in (key, other)
        )
        difference = (first - second).dropna().to_numpy(np.float64)
        if len(difference):
            mean, _, low, high = spread(difference)
            rows.append([*key, *other, f"{search}_map", len(difference), mean, low, high])
    return validate("search_differences", pd.DataFrame(rows, columns=list(SCHEMAS["search_differences"])))


def search_verdicts(measures: pd.DataFrame, differences: pd.DataFrame) -> list[Verdict]:
    """Whether mapped clouds are found as well as renders and as point features.

    Better or worse means that the 95 % interval of the difference, over the objects, excludes 0.
    """
    total = measures[(measures["corruption"] == ALL) & measures["severity"].isna()]
    verdicts = []
    for row in differences.to_dict("records"):
        gain = Estimate(row["value"], row["low"], row["high"])
        decision = (
            Decision.BETTER if gain.low > 0 else Decision.WORSE if gain.high < 0 else Decision.UNDECIDED
        )
        both = [
            estimate(total, path=path, model=model, measure=row["measure"])
            for path, model in ((row["path"], row["model"]), (row["other"], row["other_model"]))
        ]
        figures = {"other": row["other"], "gain": gain, "own": both[0], "others": both[1], "n": row["n"]}
        verdicts.append(Verdict(row["model"], row["measure"], decision, figures))
    return verdicts


def seconds_table(seconds: pd.DataFrame, renders: pd.DataFrame) -> pd.DataFrame:
    """The table `table5_seconds`: wall and CPU seconds of a cloud, by path, step and severity.

    Args:
        seconds: the table `search_seconds`.
        renders: the rows of the table `speed` of our renderer at the quality and resolution of the run's
            renders, in one variant. They are of clean clouds; all clouds have the same number of points.

    Returns:
        A row per path, step and severity (empty: all) over `n` clouds, with the 95 % interval of the wall
        seconds over them. The step `total` is the sum of the steps of the path.
    """
    timed = renders[renders["cloud"] > 0].assign(step="render", severity=0)
    columns = ["step", "severity", "seconds", "cpu_seconds"]
    clouds = pd.concat([timed[columns], seconds[columns]])
    severities: list[int | None] = [None, *sorted(seconds["severity"].unique())]
    rows: list[list[object]] = []
    for (path, steps), severity in itertools.product(STEPS.items(), severities):
        parts = []
        for step in steps:
            own = clouds[clouds["step"] == step]
            if severity is not None and step != "render":
                own = own[own["severity"] == severity]
            mean, half = _mean_and_half(own["seconds"].to_numpy(np.float64))
            parts.append((len(own), mean, half, float(own["cpu_seconds"].mean())))
            rows.append([path, step, severity, len(own), *_positive_interval(mean, half), parts[-1][3]])
        counts, means, halves, cpu = zip(*parts, strict=True)
        total = _positive_interval(sum(means), float(np.hypot.reduce(halves)))
        rows.append([path, "total", severity, min(counts), *total, sum(cpu)])
    return validate("table5_seconds", pd.DataFrame(rows, columns=list(SCHEMAS["table5_seconds"])))


def _mean_and_half(seconds: Float[np.ndarray, " n"]) -> tuple[float, float]:
    """The mean and half the length of its 95 % interval (Student's t)."""
    known = spread(seconds)
    return known.mean, known.high - known.mean


def _positive_interval(mean: float, half: float) -> tuple[float, float, float]:
    """A mean time and its interval on a log scale (the delta method), whose ends are positive."""
    factor = float(np.exp(half / mean))
    return mean, mean / factor, mean * factor


def renders_of(speed: pd.DataFrame, resolution: int) -> pd.DataFrame:
    """The rows of the table `speed` of our renders for CLIP, in the first variant that was measured.

    Raises:
        InputError: there are none at this resolution.
    """
    ours = speed[(speed["method"] == "ours") & (speed["quality"] == "clip")]
    ours = ours[ours["resolution"] == resolution]
    require(ours, ["variant"], f"speed at resolution {resolution}")
    first: pd.DataFrame = ours[ours["variant"] == ours["variant"].iloc[0]]
    return first


def seconds_verdict(table: pd.DataFrame) -> Verdict:
    """What skipping the render saves: the seconds of `renders` against those of `mapped`."""
    total = table[(table["step"] == "total") & table["severity"].isna()].set_index("path")
    known = {path: Estimate(row["seconds"], row["low"], row["high"]) for path, row in total.iterrows()}
    renders, mapped = known["renders"], known["mapped"]
    decision = (
        Decision.BETTER
        if mapped.high < renders.low
        else Decision.WORSE
        if mapped.low > renders.high
        else Decision.UNDECIDED
    )
    figures = {
        "seconds": known,
        "cpu_seconds": total["cpu_seconds"].to_dict(),
        "saved": renders.value - mapped.value,
        "times": renders.value / mapped.value,
    }
    return Verdict("mapped", "seconds", decision, figures)


def _over_objects(
    measure: str, values: Float[np.ndarray, " n"], clusters: np.ndarray
) -> tuple[float, float, float]:
    """The mean and its 95 % interval over the objects."""
    if measure.endswith("_ap"):
        by_object = pd.Series(values).groupby(clusters, sort=False).mean().to_numpy()
        known = spread_of_shares(by_object)
        return float(values.mean()), known.low, known.high
    return float(values.mean()), *clustered_interval(values, clusters)
