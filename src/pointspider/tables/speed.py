"""Table I: points rendered per second by each Mitsuba variant."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from pointspider.tables.common import number, paper_figure, require

# The paper: V. Jaisankar, J. Sreevalsan Nair, "POINTSPIDER: Learning linear mappings for multimodal alignment
# of images and point clouds". Its LaTeX source, from which these are, is multimodal_representation_report/
# root.tex in https://github.com/vijay-jaisankar/multimodal-alignment (commit a97c3641).
#: Table I: points per second by Mitsuba variant; section III: cuda on an NVIDIA GeForce GTX 1050.
PAPER_POINTS_PER_SECOND = {"cuda_ad_rgb": 56.161, "llvm_ad_rgb": 18.720, "scalar_rgb": 14.625}
FACTS = (
    "variant", "method", "quality", "device", "resolution", "samples_per_pixel", "clouds", "points",
    "pictures", "reason",
)  # fmt: skip
MEASURES = (
    "points_per_second", "first_image_seconds", "cpu_seconds_per_cloud", "psnr_db", "worst_psnr_db",
    "psnr_to_reference_db", "mean_abs_error",
)  # fmt: skip
TEXT = (
    "Points rendered per second of wall time. The *first picture* of a process is kept apart: it starts with "
    "no compiled kernels, so it includes compiling them, loading Mitsuba's plugins and building the scene, "
    "but not importing Mitsuba. After it, n different clouds are timed: by the reference once each, by ours, "
    "after a round that is not timed, in rounds until a second has passed. "
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
        records: `pointspider.render.speed.Measurement`s, a row per variant and task.
        preset, data: what produced the rows: preset and source of the clouds.
        seed: of the Monte-Carlo samples.

    Returns:
        The records, with: status, "measured" or why the variant does not work; n, the different clouds timed
        after the first; first_points_per_second, of the first picture, a cold start; ratio, to the reference
        procedure's points per second in the same variant, each at its own picture size; and
        paper_points_per_second.

    Raises:
        InputError: a column is missing.
    """
    require(records, (*FACTS, *MEASURES), "speed records")
    records = records.astype(
        dict.fromkeys(MEASURES, "float64") | dict.fromkeys(("reason", "device", "quality"), "object")
    )
    reference = records[records["method"] == "reference"].set_index("variant")["points_per_second"]
    rows = []
    for record in records.fillna({"reason": "", "device": "", "quality": ""}).to_dict("records"):
        row = {"preset": preset, "data": data, "variant": record["variant"], "method": record["method"]}
        row["quality"] = record["quality"] or "-"
        row["status"] = f"not available: {record['reason']}" if record["reason"] else "measured"
        row |= {"device": record["device"] or "-", "resolution": record["resolution"]}
        row |= {"samples_per_pixel": record["samples_per_pixel"], "seed": seed}
        row |= {"n": record["clouds"], "points": record["points"], "pictures": record["pictures"]}
        row["points_per_second"] = record["points_per_second"]
        row["first_points_per_second"] = record["points"] / record["first_image_seconds"]
        row["ratio"] = record["points_per_second"] / reference.get(record["variant"], np.nan)
        row |= {name: record[name] for name in MEASURES[2:]}
        row["paper_points_per_second"] = paper_figure(preset, PAPER_POINTS_PER_SECOND, record["variant"])
        rows.append(row)
    return pd.DataFrame(rows)


def cells(row: Mapping) -> dict[str, str]:
    return {
        "variant": row["variant"],
        "method": row["method"],
        "quality": row["quality"],
        "picture": _picture(row),
        "n": number(row["n"], ".0f"),
        "points/s": number(row["points_per_second"], ",.1f") or "not available",
        "first picture, points/s": number(row["first_points_per_second"], ",.1f"),
        "× reference, each at its size": number(row["ratio"], ",.2f"),
        "CPU s/cloud": number(row["cpu_seconds_per_cloud"], ".3f"),
        "PSNR, dB": number(row["psnr_db"], ".1f"),
        "to the reference, dB": number(row["psnr_to_reference_db"], ".1f"),
        "mean error": number(row["mean_abs_error"], ".2f"),
        "paper, points/s": number(row["paper_points_per_second"], ".3f"),
    }


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
        yield "The paper's figures are from its own machine; cuda was an NVIDIA GeForce GTX 1050."
