"""Table I: points rendered per second by each Mitsuba variant."""

import itertools
from collections.abc import Hashable, Mapping

import numpy as np
import pandas as pd
from jaxtyping import Float

from pointspider.study.evaluate.statistics import spread
from pointspider.study.tables.common import paper_figure
from pointspider.study.tables.schemas import SCHEMAS, validate

#: Table I of the paper: points per second by Mitsuba variant, the fastest first. Section III: cuda, on an
#: NVIDIA GeForce GTX 1050, is about 3 times as fast as llvm, which is preferred to scalar where there is no
#: GPU.
PAPER_POINTS_PER_SECOND = {"cuda_ad_rgb": 56.161, "llvm_ad_rgb": 18.720, "scalar_rgb": 14.625}
#: Resolution and samples per pixel of the paper, those of PointVisualizaiton; see render/scene.py.
PAPER_PICTURE = (800, 256)
NEXT_SLOWER = dict(itertools.pairwise(PAPER_POINTS_PER_SECOND))
TASK = ["variant", "method", "quality", "resolution", "samples_per_pixel"]


def speed_measures(records: pd.DataFrame, preset: str) -> pd.DataFrame:
    """Compute every measure of Table I.

    Args:
        records: rows of speed.csv, see `pointspider.study.speed.Measurement`.
        preset: its name; only the preset `paper` is compared with the paper.

    Returns:
        The table `speed_measures`. The measures are points_per_second over the `n` timed clouds, with its
        95 % interval over them; first_points_per_second of the process's first picture; ratio, to the
        points per second of the reference in the same variant, each at its own picture size; cpu_seconds of
        a cloud; psnr_db, psnr_to_reference_db and mean_abs_error, medians over the clouds; worst_psnr_db,
        the least. Of the reference also times_paper, its points per second divided by the paper's, and
        times_slower, divided by those of the variant that is next slower in the paper, with an interval
        paired by cloud. A measure is absent if it was not measured, times_paper at another picture size
        than the paper's, and times_slower if the two variants did not render equal pictures.

    Raises:
        InputError: the records do not match their schema.
    """
    records = validate("speed", records)
    timed = records[records["cloud"] > 0]
    groups = dict(iter(timed.groupby(TASK, sort=False, dropna=False)))
    references = {str(key[0]): group for key, group in groups.items() if key[1] == "reference"}
    rows: list[list[object]] = []
    for key, clouds in groups.items():
        first = records[(records["cloud"] == 0) & _same_task(records, key)]
        reference = references.get(str(key[0]))
        values = {
            "points_per_second": _interval(_rate(clouds), _relative_seconds(clouds)),
            "first_points_per_second": [_rate(first)] if len(first) else [],
            "ratio": [] if reference is None else [_rate(clouds) / _rate(reference)],
            "cpu_seconds": [clouds["cpu_seconds"].mean()],
            "psnr_db": [clouds["psnr_db"].median()],
            "worst_psnr_db": [clouds["psnr_db"].min()],
            "psnr_to_reference_db": [clouds["psnr_to_reference_db"].median()],
            "mean_abs_error": [clouds["mean_abs_error"].median()],
        }
        if key[1] == "reference":
            paper = paper_figure(preset, PAPER_POINTS_PER_SECOND, key[0])
            values["times_paper"] = [_rate(clouds) / paper] if key[3:] == PAPER_PICTURE else []
            values["times_slower"] = _times(clouds, references.get(NEXT_SLOWER.get(str(key[0]), "")))
        for measure, found in values.items():
            if len(found) and not pd.isna(found[0]):
                rows.append([*key, measure, len(clouds), *found, *[np.nan] * (3 - len(found))])
    return validate("speed_measures", pd.DataFrame(rows, columns=list(SCHEMAS["speed_measures"])))


def speed_table(
    measures: pd.DataFrame, variants: Mapping[str, Mapping[str, str]], preset: str
) -> pd.DataFrame:
    """Table I: a row per variant and task, or one row for a variant that is not available.

    Args:
        measures: `speed_measures`.
        variants: speed.json, by variant its device or the reason why it was not measured.
        preset: its name; the paper's points per second appear only with the preset `paper`.
    """
    by_task = measures.pivot(index=TASK, columns="measure", values="value").reset_index()
    rate = measures[measures["measure"] == "points_per_second"].drop(columns=["measure", "value"])
    rows = rate.merge(by_task[[*TASK, "points_per_second", "ratio"]], on=TASK).rename(columns={"n": "clouds"})
    missing = [{"variant": name, "clouds": 0} for name in variants if name not in set(rows["variant"])]
    table = pd.concat([rows.assign(status="measured"), pd.DataFrame(missing).assign(status="unavailable")])
    table["paper_points_per_second"] = [
        paper_figure(preset, PAPER_POINTS_PER_SECOND, name) for name in table["variant"]
    ]
    order = {name: place for place, name in enumerate(variants)}
    table = table.sort_values("variant", key=lambda names: names.map(order), kind="stable")
    return validate("table1", table.reindex(columns=list(SCHEMAS["table1"])).reset_index(drop=True))


def _same_task(records: pd.DataFrame, key: tuple[Hashable, ...]) -> "pd.Series[bool]":
    """The rows of a task; the reference has no quality."""
    same = records[TASK].astype("string").fillna("") == [
        "" if value is pd.NA else str(value) for value in key
    ]
    return same.all(axis=1)


def _rate(clouds: pd.DataFrame) -> float:
    """Points per second."""
    return float(clouds["points"].iloc[0] / clouds["seconds"].mean())


def _times(faster: pd.DataFrame, slower: pd.DataFrame | None) -> list[float]:
    """The ratio of two rates with its interval, paired by cloud; empty if the pictures are not equal."""
    picture = ["resolution", "samples_per_pixel", "cloud", "points"]
    if slower is None or not np.array_equal(faster[picture].to_numpy(), slower[picture].to_numpy()):
        return []
    return _interval(_rate(faster) / _rate(slower), _relative_seconds(faster) - _relative_seconds(slower))


def _interval(rate: float, errors: Float[np.ndarray, " n"]) -> list[float]:
    """A rate over clouds and its 95 % interval.

    A rate is the reciprocal of a mean time, or a ratio of two, so the relative errors of the clouds' times
    are the error of its logarithm (the delta method). On that scale the interval is Student's t, and its ends
    are positive.

    Args:
        errors: relative error of each cloud's time, up to a constant; of a ratio, their difference.
    """
    over_clouds = spread(errors)
    factor = np.exp(over_clouds.high - over_clouds.mean)
    return [rate, rate / factor, rate * factor]


def _relative_seconds(clouds: pd.DataFrame) -> Float[np.ndarray, " n"]:
    seconds = clouds["seconds"].to_numpy(np.float64)
    return np.asarray(seconds / seconds.mean())
