"""Table III: how near mapped clouds come to their renders' embeddings, and what they can do there.

`records` and `cells` are the frames of `pointspider.study.evaluate.alignment.evaluate`, once for each of two
ways to hold clouds out, which the column `split` names: "objects" (the paper's) or "classes".
"""

import re
from collections.abc import Mapping

import numpy as np
import pandas as pd

from pointspider.study.evaluate.alignment import COMPARED, FACTS, FIT_FACTS, RECALLED
from pointspider.study.evaluate.statistics import spread, spread_of_shares, wilson_interval
from pointspider.study.tables.common import SPREAD, paper_figure, require, weights_label

#: Table III: L1DIV = 1 / mean L1 on the 420 test clouds, one training each.
PAPER_L1DIV = {"BASE": 1.529, "LNORM": 3.996, "RNORM": 1.569}
RUN = ["epochs", "batch_size", "base_width", "n_train", "n_test", "objects", "gallery"]
#: `task` in per_corruption.csv.
TASKS = {"objects": "alignment", "classes": "alignment_held_out_classes"}


def alignment_table(records: pd.DataFrame, **provenance: str) -> pd.DataFrame:
    """Table III: mean L1, L1DIV and skill of every baseline and mapper, held out by objects.

    Args:
        records: see above.
        provenance: columns that say what produced the rows: preset, data, image_model, layer, point_encoder,
            and image_weights and point_weights as in params.yaml.

    Returns:
        A row per baseline and mapper, in the order of `records`. <measure>_last is the mean over the seeds
        that did not diverge, with _std, their sample standard deviation, and _low and _high, the mean's 95 %
        interval; L1DIV and skill are taken per seed first. _best is after the epoch of lowest test loss,
        which is optimistic. better_<other> and worse_<other>, of the median and of ridge, count the seeds
        whose last epoch is nearer to, or farther from, the images than it by more than chance: the 95 %
        interval of the paired difference over the test objects leaves out 0. l1div_difference is to the
        paper's L1DIV.

    Raises:
        InputError: a column is missing.
    """
    records, provenance = _typed(records), _named(provenance)
    records = records[(records["split"] == "objects") & (records["kind"] != "reference")]
    rows = []
    for _, own in records.groupby("mapper", sort=False):
        last = own[own["epoch"] != "best"]
        row = provenance | _facts(last) | {"best_epoch": _span(last["best_epoch"].dropna())}
        for epoch, runs in (("last", last), ("best", own[own["epoch"] != "last"])):
            for name in ("l1", "l1div", "skill"):
                row |= _over_seeds(f"{name}_{epoch}", _whole(runs)[name])
        row |= _verdicts(last)
        row["paper_l1div"] = paper_figure(provenance["preset"], PAPER_L1DIV, row["mapper"])
        row["l1div_difference"] = row["l1div_last"] - row["paper_l1div"]
        rows.append(row)
    return pd.DataFrame(rows)


def extended_table(records: pd.DataFrame, **provenance: str) -> pd.DataFrame:
    """Every measure of every predictor, held out by objects and by classes.

    Args:
        records, provenance: see `alignment_table`.

    Returns:
        A row per split, predictor and epoch ("last" and "best" of a training, else "-"), references included:
        each measure's and gain's mean over the seeds that did not diverge, with _std, _low and _high as
        there; better_<other> and worse_<other>, over the test classes where classes are held out; chance_r<k>
        of retrieval among the clean clouds. Predictors without seeds have Wilson's intervals over the test
        objects, of recalls and top<k>, where objects are held out.

    Raises:
        InputError: a column is missing.
    """
    records, provenance = _typed(records), _named(provenance)
    measures = measure_names(records)
    rows = []
    for (split, _, epoch), runs in records.groupby(["split", "mapper", "epoch"], sort=False):
        row = provenance | {"split": split} | _facts(runs) | {"epoch": epoch}
        row |= _verdicts(runs)
        for name in [*measures, *(f"gain_{other}" for other in COMPARED)]:
            row |= _over_seeds(name, _whole(runs)[name])
        if split == "objects" and row["seeds"] == "-":
            for name in filter(_is_share, measures):
                row |= _over_objects(name, row)
        row |= {f"chance_r{k}": min(k / row["gallery"], 1) for k in RECALLED}
        rows.append(row)
    return pd.DataFrame(rows)


def corruption_rows(cells: pd.DataFrame) -> pd.DataFrame:
    """Every measure by corruption and severity, as rows of per_corruption.csv.

    Returns:
        Columns model, task, measure, corruption, severity, n (clouds), value (mean over the seeds), low and
        high (its 95 % interval over them; missing without several), interval ("seeds", or "" where none).
    """
    by = ["split", "mapper", "corruption", "severity", "n", "measure"]
    long = cells.melt(by[:-1], measure_names(cells), "measure").dropna(subset="value")
    rows = []
    for key, values in long.groupby(by, sort=False)["value"]:
        measure = key[-1]
        value, _, low, high = _over_seeds(measure, values).values()
        interval = "seeds" if len(values) > 1 else ""
        rows.append([TASKS[key[0]], *key[1:], value, low, high, interval])
    columns = ["task", "model", *by[2:], "value", "low", "high", "interval"]
    order = ["model", "task", "measure", *by[2:-1], "value", "low", "high", "interval"]
    return pd.DataFrame(rows, columns=columns)[order]


def measure_names(frame: pd.DataFrame) -> list[str]:
    """The measures among the columns of `records` or `cells`."""
    retrieval = [f"{what}_{name}" for what in ("image", "cloud") for name in (*_recalls(), "rank")]
    top = [name for name in frame if re.fullmatch(r"top\d+", name)]
    return ["l1", "l1div", "skill", "cosine", *retrieval, *top]


def _recalls() -> list[str]:
    return [f"r{k}" for k in RECALLED]


def _typed(records: pd.DataFrame) -> pd.DataFrame:
    """`records` with the types that a CSV does not keep."""
    gains = [f"gain_{other}{end}" for other in COMPARED for end in ("", "_low", "_high")]
    wanted = ["split", *FACTS, *RUN, *measure_names(records), *gains]
    require(records, wanted, "alignment records")
    return records.astype(FACTS)


def _named(provenance: Mapping[str, str]) -> dict[str, str]:
    weights = {name: weights_label(provenance[name]) for name in ("image_weights", "point_weights")}
    return {**provenance, **weights}


def _facts(runs: pd.DataFrame) -> dict[str, object]:
    """What tells the predictor of `runs`, a row per seed, from others."""
    first = runs.iloc[0]
    diverged = runs["diverged_at"].dropna()
    return {
        "kind": first["kind"],
        "mapper": first["mapper"],
        "note": ", ".join(f"{name} {first[name]:.3g}" for name in FIT_FACTS if pd.notna(first[name])) or "-",
        **first[RUN],
        "seeds": " ".join(map(str, runs["seed"].dropna())) or "-",
        "diverged": len(diverged),
        "diverged_at": " ".join(f"{epoch:.0f}" for epoch in diverged) or "-",
    }


def _whole(runs: pd.DataFrame) -> pd.DataFrame:
    """Those that did not diverge."""
    return runs[runs["diverged_at"].isna()]


def _verdicts(runs: pd.DataFrame) -> dict[str, int]:
    """How many seeds are better than each of `COMPARED`, and how many worse."""
    verdicts = {}
    for other in COMPARED:
        verdicts[f"better_{other}"] = int((runs[f"gain_{other}_low"] > 0).sum())
        verdicts[f"worse_{other}"] = int((runs[f"gain_{other}_high"] < 0).sum())
    return verdicts


def _is_share(measure: str) -> bool:
    """Whether a measure is a share of clouds, from 0 to 1."""
    return bool(re.fullmatch(r"(image_r|cloud_r|top)\d+", measure))


def _over_objects(name: str, row: Mapping) -> dict[str, float]:
    """Wilson's interval of a share over the test objects, as `_over_seeds`; missing as the share is."""
    if pd.isna(row[name]):
        return {}
    low, high = wilson_interval(min(row[name], 1) * row["objects"], row["objects"])
    return {f"{name}_low": low, f"{name}_high": high}


def _over_seeds(name: str, values: pd.Series) -> dict[str, float]:
    """{<name>: mean, <name>_std: …, <name>_low: …, <name>_high: …}, missing as far as they do not exist."""
    values = values.dropna()
    known = [np.nan] * len(SPREAD)
    if len(values):
        known = (spread_of_shares if _is_share(name) else spread)(values)
    return {f"{name}{end}": value for end, value in zip(SPREAD, known, strict=True)}


def _span(epochs: pd.Series) -> str:
    """The lowest and the highest of the seeds' best epochs, "812" or "640-1000"."""
    return "-".join(f"{epoch:.0f}" for epoch in sorted({epochs.min(), epochs.max()})) if len(epochs) else "-"
