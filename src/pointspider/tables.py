"""Tables I-III from the evaluations' records, the selected mapper's metrics, and the page that explains both.

Every row says what produced it. The paper's figures stand in columns of their own, `paper_...`, which are
empty unless the preset is `paper`: other presets measure other data with other models.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from pointspider.errors import InputError
from pointspider.evaluate.statistics import spread
from pointspider.mapper import LABELS

# The paper: V. Jaisankar, J. Sreevalsan Nair, "POINTSPIDER: Learning linear mappings for multimodal alignment
# of images and point clouds". Its LaTeX source, from which these are, is multimodal_representation_report/
# root.tex in https://github.com/vijay-jaisankar/multimodal-alignment (commit a97c3641).
#: Table I: points per second by Mitsuba variant; section III: cuda on an NVIDIA GeForce GTX 1050.
PAPER_POINTS_PER_SECOND = {"cuda_ad_rgb": 56.161, "llvm_ad_rgb": 18.720, "scalar_rgb": 14.625}
#: Table II: {model: {k: top-k accuracy on one Double Roulette draw of 40 clouds}}.
PAPER_ACCURACY = {
    "clip-vit-large-patch14": {1: 0.125, 3: 0.150},
    "clip-vit-base-patch32": {1: 0.125, 3: 0.200},
    "CLIP-ViT-H-14-laion2B-s32B-b79K": {1: 0.300, 3: 0.400},
    "CLIP-ViT-L-14-DataComp.XL-s13B-b90K": {1: 0.225, 3: 0.350},
}
#: Table III: L1DIV = 1 / mean L1 on the 420 test clouds, one training each.
PAPER_L1DIV = {"BASE": 1.529, "LNORM": 3.996, "RNORM": 1.569}

FIRST_DRAW = "draw_0000"  # the Double Roulette draw that is Table II


SPEED_FACTS = (
    "variant", "method", "device", "resolution", "samples_per_pixel", "clouds", "points", "pictures",
    "reason",
)  # fmt: skip
SPEED_MEASURES = (
    "points_per_second", "first_image_seconds", "cpu_seconds_per_cloud", "psnr_db", "mean_abs_error",
)  # fmt: skip


def speed_table(records: pd.DataFrame, preset: str, data: str, seed: int) -> pd.DataFrame:
    """Table I: how fast each Mitsuba variant renders, by the reference procedure and by ours.

    Args:
        records: `pointspider.render.speed.Measurement`s, a row per variant and method.
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
    require(records, (*SPEED_FACTS, *SPEED_MEASURES), "speed records")
    records = records.astype(
        dict.fromkeys(SPEED_MEASURES, "float64") | {"reason": "object", "device": "object"}
    )
    reference = records[records["method"] == "reference"].set_index("variant")["points_per_second"]
    rows = []
    for record in records.fillna({"reason": "", "device": ""}).to_dict("records"):
        row = {"preset": preset, "data": data, "variant": record["variant"], "method": record["method"]}
        row["status"] = f"not available: {record['reason']}" if record["reason"] else "measured"
        row |= {"device": record["device"] or "-", "resolution": record["resolution"]}
        row |= {"samples_per_pixel": record["samples_per_pixel"], "seed": seed}
        row |= {"n": record["clouds"], "points": record["points"], "pictures": record["pictures"]}
        row["points_per_second"] = record["points_per_second"]
        row["first_points_per_second"] = record["points"] / record["first_image_seconds"]
        row["ratio"] = record["points_per_second"] / reference.get(record["variant"], np.nan)
        row |= {name: record[name] for name in ("cpu_seconds_per_cloud", "psnr_db", "mean_abs_error")}
        row["paper_points_per_second"] = _paper(preset, PAPER_POINTS_PER_SECOND, record["variant"])
        rows.append(row)
    return pd.DataFrame(rows)


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
            row |= {f"paper_top{k}": _paper(preset, PAPER_ACCURACY.get(model, {}), k)}
        rows.append(row)
    return pd.DataFrame(rows)


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
        row["paper_l1div"] = _paper(preset, PAPER_L1DIV, mapper)
        rows.append(row)
    return pd.DataFrame(rows)


def selected_metrics(
    table2: pd.DataFrame, table3: pd.DataFrame, norm: str
) -> dict[str, float | int | str | None]:
    """The selected mapper's figures, flat, for `dvc metrics`: Table III's row, and Table II's best model.

    Args:
        table2, table3: as returned here or read back.
        norm: none, layer or response: `mapper.norm` of params.yaml.

    Returns:
        What JSON can hold; a figure that does not exist (all seeds diverged, say) is None.
    """
    row = table3[table3["mapper"] == LABELS[norm]].iloc[0]
    clip = table2.loc[table2["top1_mean"].idxmax()]
    metrics = {
        "l1": row["l1_last"],
        "l1div": row["l1div_last"],
        "l1div_std": row["l1div_last_std"],
        "skill": row["skill_last"],
        "best_l1": row["l1_best"],
        "best_l1div": row["l1div_best"],
        "best_skill": row["skill_best"],
        "zero_shot_top1": clip["top1"],
        "zero_shot_top1_mean": clip["top1_mean"],
        "zero_shot_top1_clean": clip["top1_clean"],
    }
    numbers = {name: None if pd.isna(value) else round(float(value), 6) for name, value in metrics.items()}
    return {
        "mapper": row["mapper"],
        "seeds_diverged": int(row["diverged"]),
        **numbers,
        "zero_shot_model": clip["model"],
    }


def require(frame: pd.DataFrame, columns: Sequence[str], what: str) -> None:
    """Refuse a frame that lacks a column or has no rows.

    Raises:
        InputError: names `what` it is, and what is missing.
    """
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise InputError(f"{what}: no columns {missing}, only {list(frame.columns)}. Measure again.")
    if frame.empty:
        raise InputError(f"{what}: no rows. Measure again.")


def top_ranks(frame: pd.DataFrame) -> list[int]:
    """The k of the columns top<k> of Table II or of its records."""
    return [int(match[1]) for name in frame.columns if (match := re.fullmatch(r"top(\d+)", name))]


def weights_label(weights: str) -> str:
    """What to call an encoder's weights: a hub name or path as it is, `train` in words."""
    return "trained by this workflow" if weights == "train" else weights


def _paper(preset: str, figures: Mapping, key: object) -> float:
    """The paper's figure beside a run of the paper; missing beside anything else, and where it gives none."""
    return figures.get(key, np.nan) if preset == "paper" else np.nan


def _span(epochs: pd.Series) -> str:
    """The lowest and the highest of the seeds' best epochs, "812" or "640-1000"."""
    return "-".join(map(str, sorted({epochs.min(), epochs.max()}))) if len(epochs) else "-"


# --------------------------------------------------------------------------------------------------- summary

BANNER_PAPER = (
    "The data and models are the paper's. The settings are those of params.yaml; docs/paper.md tells how the "
    "paper's unclear places are read. The paper's figures, from [its source]"
    "(https://github.com/vijay-jaisankar/multimodal-alignment), stand beside ours."
)
BANNER_OTHER = (
    "**Not comparable with the paper.** Only the preset `paper` has its data and models, so the paper's "
    "figures are left out here. Encoders trained by this workflow are small stand-ins for published "
    "ones."
)
TEXT_I = (
    "Points rendered per second of wall time. The *first picture* of a process is kept apart: it starts with "
    "no compiled kernels, so it includes compiling them, loading Mitsuba's plugins and building the scene, "
    "but not importing Mitsuba. After it, n different clouds are timed: by the reference once each, by ours "
    "in rounds until a second has passed. "
    "The *reference* is the paper's procedure: a sphere per point, in a scene made anew for every cloud. "
    "*Ours* makes the same picture at its own size, which the pipeline uses; the reference's size is the "
    "parameter `speed.reference` (in the paper 800², 256 samples). The ratio to the reference compares the "
    "two at these sizes, so it holds for them alone. PSNR and mean absolute error (levels of 255) compare "
    "ours with the reference's pictures reduced to its size, whose own noise is in them."
)
TEXT_II = (
    "The share of clouds whose class a CLIP names right, from a render, among its first k guesses. The "
    "paper's test is one Double Roulette draw, a cloud of each class (n = {n}), here with its 95 % Wilson "
    "interval in brackets. Beside it: mean ± standard deviation over {draws} draws, and the clean test "
    "clouds (n = {n_clean})."
)
TEXT_III = (
    "Mappers take {point_encoder}'s embedding of a cloud ({point_weights}) to the {layer} {image_model} "
    "embedding of its render ({image_weights}). L1 is the mean absolute difference between the two on "
    "{n_test} test clouds, after training on {n_train}; L1DIV = 1 / L1, higher is better. Zero, mean and "
    "median are constants, blind to the cloud; skill is the share of the median's L1 that a predictor "
    "removes. ± is the standard deviation over seeds. The best epoch is chosen on the test clouds, which "
    "flatters it."
)


def summary(
    table1: pd.DataFrame, table2: pd.DataFrame, table3: pd.DataFrame, plots: Mapping[str, str]
) -> str:
    """The three tables on one page of Markdown, with what can be concluded from them.

    Args:
        table1, table2, table3: as returned here or read back.
        plots: {what it shows: path of the picture, relative to the page}.
    """
    preset, data = table1["preset"].iloc[0], table1["data"].iloc[0]
    blocks = [
        f"# POINTSPIDER, preset `{preset}`, clouds `{data}`",
        BANNER_PAPER if preset == "paper" else BANNER_OTHER,
        "## Table I: rendering speed",
        TEXT_I,
        _markdown(map(_speed_cells, table1.to_dict("records"))),
        _list(_read_speed(table1)),
        "## Table II: zero-shot classification of renders",
        TEXT_II.format(**table2.iloc[0]),
        _markdown(_zero_shot_cells(row, top_ranks(table2)) for row in table2.to_dict("records")),
        _list(_read_zero_shot(table2)),
        "## Table III: mapping point clouds to images",
        TEXT_III.format(**table3.iloc[0]),
        _markdown(map(_alignment_cells, table3.to_dict("records"))),
        _list(_read_alignment(table3)),
        "## Plots",
        _list(f"[{title}]({path})" for title, path in plots.items()),
    ]
    return "\n\n".join(blocks) + "\n"


def _speed_cells(row: Mapping) -> dict[str, str]:
    return {
        "variant": row["variant"],
        "method": row["method"],
        "picture": _picture(row),
        "n": _number(row["n"], ".0f"),
        "points/s": _number(row["points_per_second"], ",.1f") or "not available",
        "first picture, points/s": _number(row["first_points_per_second"], ",.1f"),
        "× reference, each at its size": _number(row["ratio"], ",.2f"),
        "CPU s/cloud": _number(row["cpu_seconds_per_cloud"], ".3f"),
        "PSNR, dB": _number(row["psnr_db"], ".1f"),
        "mean error": _number(row["mean_abs_error"], ".2f"),
        "paper, points/s": _number(row["paper_points_per_second"], ".3f"),
    }


def _picture(row: Mapping) -> str:
    return f"{row['resolution']:.0f}², {row['samples_per_pixel']:.0f} samples"


def _zero_shot_cells(row: Mapping, ranks: Sequence[int]) -> dict[str, str]:
    cells = {"model": row["model"], "weights": row["weights"]}
    for k in ranks:
        cells |= {
            f"top-{k}": f"{row[f'top{k}']:.3f} [{row[f'top{k}_low']:.2f}, {row[f'top{k}_high']:.2f}]",
            f"top-{k}, draws": _mean(row[f"top{k}_mean"], row[f"top{k}_std"], ".3f"),
            f"top-{k}, clean": f"{row[f'top{k}_clean']:.3f}",
            f"top-{k}, chance": f"{row[f'top{k}_chance']:.3f}",
            f"paper, top-{k}": _number(row[f"paper_top{k}"], ".3f"),
        }
    return cells


def _alignment_cells(row: Mapping) -> dict[str, str]:
    cells = {"predictor": row["mapper"], "seeds": row["seeds"], "diverged": _number(row["diverged"], ".0f")}
    for epoch in ("last", "best"):
        cells |= {
            f"L1, {epoch}": _number(row[f"l1_{epoch}"], ",.3f") or "none",
            f"L1DIV, {epoch}": _mean(row[f"l1div_{epoch}"], row[f"l1div_{epoch}_std"], ".3f"),
            f"skill, {epoch}": _number(100 * row[f"skill_{epoch}"], "+.1f", " %"),
        }
    return cells | {"best epoch": row["best_epoch"], "paper, L1DIV": _number(row["paper_l1div"], ".3f")}


def _read_speed(table: pd.DataFrame) -> Iterator[str]:
    for variant, rows in table.groupby("variant", sort=False):
        if rows["points_per_second"].isna().all():
            yield f"`{variant}`: {rows['status'].iloc[0]}."
            continue
        by_method = rows.set_index("method")
        ours, reference = by_method.loc["ours"], by_method.loc["reference"]
        yield (
            f"`{variant}` ({ours['device']}): ours, {_picture(ours)}, renders {ours['ratio']:.3g} times as "
            f"many points per second as the reference, {_picture(reference)} (`speed.reference`)."
        )
    if table["paper_points_per_second"].notna().any():
        yield "The paper's figures are from its own machine; cuda was an NVIDIA GeForce GTX 1050."


def _read_zero_shot(table: pd.DataFrame) -> Iterator[str]:
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


NO_BETTER = 1.1  # times the median's L1; beyond it a mapper is called worse


def _read_alignment(table: pd.DataFrame) -> Iterator[str]:
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


def _number(value: float, spec: str, unit: str = "") -> str:
    """Formatted; empty where it is missing."""
    return "" if pd.isna(value) else f"{value:{spec}}{unit}"


def _mean(mean: float, deviation: float, spec: str) -> str:
    """Mean ± deviation, as far as they exist."""
    return _number(mean, spec) + ("" if pd.isna(deviation) else f" ± {deviation:{spec}}")


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


TEXT_COLUMNS = {"variant", "method", "picture", "model", "weights", "predictor", "seeds", "best epoch"}


def _markdown(rows: Iterable[Mapping[str, str]]) -> str:
    """A Markdown table, text to the left and numbers to the right, aligned in its source too.

    Columns without any content are left out.
    """
    frame = pd.DataFrame(list(rows))
    frame = frame.loc[:, (frame != "").any()].replace(r"\|", r"\\|", regex=True)
    columns = []
    for name in frame:
        width = max(3, len(name), *frame[name].map(len))
        adjust, rule = (
            (str.ljust, "-" * width) if name in TEXT_COLUMNS else (str.rjust, "-" * (width - 1) + ":")
        )
        head, *body = (adjust(cell, width) for cell in (name, *frame[name]))
        columns.append([head, rule, *body])
    return "\n".join("| " + " | ".join(line) + " |" for line in zip(*columns, strict=True))
