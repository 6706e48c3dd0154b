"""Table I: points rendered per second by each Mitsuba variant."""

import itertools
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from pointspider.study.evaluate.statistics import spread
from pointspider.study.tables.common import number, paper_figure, require

# The paper: V. Jaisankar, J. Sreevalsan Nair, "POINTSPIDER: Learning linear mappings for multimodal alignment
# of images and point clouds". Its LaTeX source, from which these are, is multimodal_representation_report/
# root.tex in https://github.com/vijay-jaisankar/multimodal-alignment (commit a97c3641).
#: Table I: points per second by Mitsuba variant, the fastest first; section III: cuda on an NVIDIA GeForce
#: GTX 1050 is about 3 times as fast as llvm, which is to be preferred to scalar where there is no GPU.
PAPER_POINTS_PER_SECOND = {"cuda_ad_rgb": 56.161, "llvm_ad_rgb": 18.720, "scalar_rgb": 14.625}
#: Pixels of a side and samples of each: PointVisualizaiton's, which the paper took; see render/scene.py.
PAPER_PICTURE = (800, 256)
FACTS = (
    "variant", "method", "quality", "device", "resolution", "samples_per_pixel", "clouds", "points",
    "pictures", "cloud_seconds", "reason",
)  # fmt: skip
MEASURES = (
    "points_per_second", "first_image_seconds", "cpu_seconds_per_cloud", "psnr_db", "worst_psnr_db",
    "psnr_to_reference_db", "mean_abs_error",
)  # fmt: skip
POINTS_PER_SECOND = ("points_per_second", "points_per_second_low", "points_per_second_high")
TIMES_SLOWER = ("times_slower", "times_slower_low", "times_slower_high")
NEXT_SLOWER = dict(itertools.pairwise(PAPER_POINTS_PER_SECOND))
PICTURE = ("resolution", "samples_per_pixel", "clouds", "points")  # equal where times are compared
TEXT = (
    "Points rendered per second of wall time. The *first picture* of a process is kept apart: it starts with "
    "no compiled kernels, so it includes compiling them, loading Mitsuba's plugins and building the scene, "
    "but not importing Mitsuba. After it, n different clouds are timed: by the reference once each, by ours "
    "in rounds until a second has passed. "
    "The 95 % interval tells what other clouds would give: it is over the n clouds, each with its mean "
    "seconds (Student's t, on a log scale), and holds nothing of how runs differ. "
    "The *reference* is the paper's procedure: a sphere per point, in a scene made anew for every cloud. "
    "*Ours* makes the same picture: at quality `reference` at the same size, at `clip` reduced to the size "
    "that the encoders take. The reference's size is the parameter `speed.reference` (in the paper 800², 256 "
    "samples); a ratio to the reference holds for the sizes it is measured at. PSNR (median over the clouds) "
    "is to the picture that the reference converges to, estimated from two of its pictures; the reference's "
    "own shows its noise. PSNR to the reference and the mean absolute error, in levels of 255, are to the "
    "picture itself and hold that noise."
)


def speed_table(records: pd.DataFrame, preset: str, data: str, seed: int) -> pd.DataFrame:
    """Table I: how fast each Mitsuba variant renders, by the reference procedure and by ours.

    Args:
        records: `pointspider.study.speed.Measurement`s, a row per variant and task.
        preset, data: what produced the rows: preset and source of the clouds.
        seed: of the Monte-Carlo samples.

    Returns:
        The records, with: status, "measured" or why the variant does not work; n, the different clouds timed
        after the first; points_per_second_low and _high, the 95 % interval over these clouds;
        first_points_per_second, of the first picture, a cold start; ratio, to the reference procedure's
        points per second in the same variant, each at its own picture size; paper_points_per_second. Of the
        reference: times_paper, its points per second over the paper's; times_slower, over those of the
        variant that is next slower in the paper, with _low and _high, its 95 % interval, paired by cloud.
        Missing: intervals of one cloud; times_paper at another picture than the paper's; times_slower where
        the two were not timed on equal pictures.

    Raises:
        InputError: a column is missing.
    """
    require(records, (*FACTS, *MEASURES), "speed records")
    texts = ("reason", "device", "quality", "cloud_seconds")
    records = records.astype(dict.fromkeys(MEASURES, "float64") | dict.fromkeys(texts, "object"))
    records = records.fillna(dict.fromkeys(texts, "")).to_dict("records")
    references = {record["variant"]: record for record in records if record["method"] == "reference"}
    rows = []
    for record in records:
        row = {"preset": preset, "data": data, "variant": record["variant"], "method": record["method"]}
        row["quality"] = record["quality"] or "-"
        row["status"] = f"not available: {record['reason']}" if record["reason"] else "measured"
        row |= {"device": record["device"] or "-", "resolution": record["resolution"]}
        row |= {"samples_per_pixel": record["samples_per_pixel"], "seed": seed}
        row |= {"n": record["clouds"], "points": record["points"], "pictures": record["pictures"]}
        row |= dict(zip(POINTS_PER_SECOND, _rate(record), strict=True))
        row["first_points_per_second"] = record["points"] / record["first_image_seconds"]
        reference = references.get(record["variant"], {})
        row["ratio"] = record["points_per_second"] / reference.get("points_per_second", np.nan)
        row |= {name: record[name] for name in MEASURES[2:]}
        paper = paper_figure(preset, PAPER_POINTS_PER_SECOND, record["variant"])
        row |= {"paper_points_per_second": paper, "times_paper": np.nan} | dict.fromkeys(TIMES_SLOWER, np.nan)
        if record is reference:
            row |= _compared(record, references.get(NEXT_SLOWER.get(record["variant"]), {}), paper)
        rows.append(row)
    return pd.DataFrame(rows)


def _compared(reference: Mapping, slower: Mapping, paper: float) -> dict[str, float]:
    """The reference's points per second over the paper's, and over those of the next slower variant."""
    same = (reference["resolution"], reference["samples_per_pixel"]) == PAPER_PICTURE
    times_paper = reference["points_per_second"] / paper if same else np.nan
    return {"times_paper": times_paper, **dict(zip(TIMES_SLOWER, _times(reference, slower), strict=True))}


def _rate(record: Mapping) -> tuple[float, float, float]:
    """Points per second and their interval over the clouds; missing as far as they do not exist."""
    return _interval(record["points_per_second"], _relative_seconds(record))


def _times(faster: Mapping, slower: Mapping) -> tuple[float, float, float]:
    """How many times as many points per second `faster` renders, with its interval, paired by cloud."""
    if any(faster[name] != slower.get(name) for name in PICTURE) or not faster["clouds"]:
        return np.nan, np.nan, np.nan
    ratio = faster["points_per_second"] / slower["points_per_second"]
    return _interval(ratio, _relative_seconds(faster) - _relative_seconds(slower))


def _interval(rate: float, errors: np.ndarray) -> tuple[float, float, float]:
    """A rate over clouds and its 95 % interval.

    A rate is the reciprocal of a mean time, or a ratio of two, so the relative errors of the clouds' times
    make the error of its logarithm (the delta method). On that scale the interval is Student's t and its ends
    are positive, however few the clouds.

    Args:
        errors: (n,) relative error of each cloud's time, up to a constant; of a ratio, their difference.
    """
    if len(errors) < 2:
        return rate, np.nan, np.nan
    known = spread(errors)
    factor = np.exp(known.high - known.mean)
    return rate, rate / factor, rate * factor


def _relative_seconds(record: Mapping) -> np.ndarray:
    """(n,) seconds of each cloud over their mean; empty where nothing was measured."""
    written = str(record["cloud_seconds"])  # read from CSV, those of one cloud are a number
    seconds = np.array(written.split(), dtype=np.float64)
    return seconds / seconds.mean() if len(seconds) else seconds


def cells(row: Mapping) -> dict[str, str]:
    return {
        "variant": row["variant"],
        "method": row["method"],
        "quality": row["quality"],
        "picture": _picture(row),
        "n": number(row["n"], ".0f"),
        "points/s": number(row["points_per_second"], ",.1f") or "not available",
        "95 % interval": _brackets(row, POINTS_PER_SECOND, ",.1f"),
        "first picture, points/s": number(row["first_points_per_second"], ",.1f"),
        "× reference, each at its size": number(row["ratio"], ",.2f"),
        "CPU s/cloud": number(row["cpu_seconds_per_cloud"], ".3f"),
        "PSNR, dB": number(row["psnr_db"], ".1f"),
        "to the reference, dB": number(row["psnr_to_reference_db"], ".1f"),
        "mean error": number(row["mean_abs_error"], ".2f"),
        "paper, points/s": number(row["paper_points_per_second"], ".3f"),
        "× paper": number(row["times_paper"], ".2f"),
    }


def _brackets(row: Mapping, names: tuple[str, str, str], spec: str) -> str:
    """The interval whose value and ends `names` names; empty where there is none."""
    _, low, high = (row[name] for name in names)
    return "" if pd.isna(low) else f"[{low:{spec}}, {high:{spec}}]"


def _picture(row: Mapping) -> str:
    return f"{row['resolution']:.0f}², {row['samples_per_pixel']:.0f} samples"


def read(table: pd.DataFrame) -> Iterator[str]:
    for variant, rows in table.groupby("variant", sort=False):
        if rows["points_per_second"].isna().all():
            yield f"`{variant}`: {rows['status'].iloc[0]}."
            continue
        reference = rows[rows["method"] == "reference"].iloc[0]
        ours = [
            f"{row['ratio']:.3g} times as many at quality `{row['quality']}`, {_picture(row)}"
            for row in rows[rows["method"] == "ours"].to_dict("records")
        ]
        yield (
            f"`{variant}` ({reference['device']}): beside the reference's points per second, "
            f"{_picture(reference)} (`speed.reference`), ours renders {' and '.join(ours)}."
        )
    if table["paper_points_per_second"].notna().any():
        yield from _beside_the_paper(table[table["method"] == "reference"].set_index("variant"))


def _beside_the_paper(references: pd.DataFrame) -> Iterator[str]:
    """What the reference's rows, by variant, say of the paper's figures and of its order of the variants."""
    for variant, row in references[references["times_paper"].notna()].iterrows():
        yield (
            f"`{variant}`: the paper has {row['paper_points_per_second']:.3f} points per second, the "
            f"reference here {_told(row, POINTS_PER_SECOND, ',.1f')}, {row['times_paper']:.2f} times as many."
        )
    yield (
        "The paper's figures are from its own machine, whose GPU was an NVIDIA GeForce GTX 1050 and whose "
        "CPU it does not name. A ratio to them compares the machines too; what can be judged here is which "
        "variant is the faster on one machine, and how much."
    )
    for faster, slower in NEXT_SLOWER.items():
        times = PAPER_POINTS_PER_SECOND[faster] / PAPER_POINTS_PER_SECOND[slower]
        yield (
            f"That `{faster}` is faster than `{slower}`, {times:.2f} times in the paper, "
            f"{_verdict(references, faster, slower, times)}."
        )


def _verdict(references: pd.DataFrame, faster: str, slower: str, paper: float) -> str:
    """Whether `faster` is faster than `slower` here, and whether by as much as in the paper."""
    for variant in (faster, slower):
        status = references["status"].get(variant, "not measured")
        if status != "measured":
            return f"cannot be judged here: `{variant}` is {status}"
    row = references.loc[faster]
    times, low, high = row[list(TIMES_SLOWER)]
    if pd.isna(times):
        return "cannot be judged here: the two were not timed on equal pictures"
    figures = f"{_told(row, TIMES_SLOWER, '.2f')} times at {_picture(row)} (n = {row['n']})"
    if pd.isna(row["times_paper"]):  # small pictures time the building of scenes rather than the rendering
        return f"cannot be judged by other pictures than the paper's: {figures}"
    if pd.isna(low):
        return f"cannot be judged by one cloud: {figures}"
    verdict = "holds here" if low > 1 else "does not hold here" if high < 1 else "is not shown here"
    place = "above" if paper > high else "below" if paper < low else "inside"
    return f"{verdict}: {figures}; the paper's {paper:.2f} is {place} the interval"


def _told(row: Mapping, names: tuple[str, str, str], spec: str) -> str:
    """A value with its interval, as far as that exists."""
    return f"{row[names[0]]:{spec}} {_brackets(row, names, spec)}".rstrip()
