"""Table III: how near predicted image embeddings come to the embeddings of renders.

`records` and `levels` are the frames of `pointspider.study.evaluate.alignment.evaluate`, concatenated over
the two ways to hold out clouds, which the column `split` names: "objects" (the paper's) and "classes".
"""

import re

import numpy as np
import pandas as pd
from jaxtyping import Float

from pointspider.study.evaluate.alignment import COMPARED, FACTS, RECALLED
from pointspider.study.evaluate.statistics import Spread, spread, spread_of_shares, wilson_interval
from pointspider.study.tables.common import paper_figure, require
from pointspider.study.tables.schemas import SCHEMAS, validate

#: Table III of the paper: L1DIV = 1 / mean L1 on the 420 test clouds, one training each.
PAPER_L1DIV = {"BASE": 1.529, "LNORM": 3.996, "RNORM": 1.569}
SIZES = ["n_train", "n_test", "objects", "gallery"]
PREDICTOR = ["split", "kind", "predictor"]


def alignment_measures(records: pd.DataFrame) -> pd.DataFrame:
    """Compute every measure of every predictor.

    Returns:
        The table `alignment`, a row per split, predictor, epoch and measure that the predictor has. value
        is the mean over the `n` seeds that did not diverge, std their sample standard deviation, low and
        high the 95 % interval of the mean over the seeds; L1DIV and skill are computed per seed first. A
        predictor without seeds is measured on `n` objects; its recalls and top<k> have Wilson's interval
        over them where objects are held out. The epoch `best` is the one of lowest test loss, which is
        optimistic. chance is that of retrieval among the clean clouds.

    Raises:
        InputError: a column is missing.
    """
    records = _typed(records)
    rows: list[list[object]] = []
    for (split, kind, predictor, epoch), runs in records.groupby([*PREDICTOR, "epoch"], sort=False):
        objects, gallery = int(runs["objects"].iloc[0]), int(runs["gallery"].iloc[0])
        seeds = runs["seed"].notna().any()
        for measure in measure_names(records):
            values = _finished(runs)[measure].dropna().to_numpy(dtype=np.float64)
            if not len(values):
                continue
            value, std, low, high = _over_seeds(measure, values)
            if not seeds and split == "objects" and _is_share(measure):
                low, high = wilson_interval(min(value, 1) * objects, objects)
            unit = None if np.isnan(low) else "seeds" if seeds else "objects"
            recalled = re.fullmatch(r"(?:image|cloud)_r(\d+)", measure)
            chance = min(int(recalled[1]) / gallery, 1) if recalled else np.nan
            n = len(values) if seeds else objects
            rows.append([split, kind, predictor, epoch, measure, n, value, std, low, high, unit, chance])
    return validate("alignment", pd.DataFrame(rows, columns=list(SCHEMAS["alignment"])))


def gains(records: pd.DataFrame) -> pd.DataFrame:
    """Compare every predictor with the training median and with ridge, by the L1 of each test cloud.

    Returns:
        The table `gains`. value is the L1 of `other` minus the predictor's, the mean over the `n` seeds
        that did not diverge, with std, low and high over them. better and worse count the seeds whose gain
        is above or below 0 by more than chance: its 95 % interval over the test objects, or over the test
        classes if classes are held out, excludes 0.
    """
    records = _typed(records)
    rows: list[list[object]] = []
    for key, runs in records.groupby([*PREDICTOR, "epoch"], sort=False):
        for other in COMPARED:
            known = _finished(runs).dropna(subset=f"gain_{other}")
            if known.empty:
                continue
            better, worse = (known[f"gain_{other}_low"] > 0).sum(), (known[f"gain_{other}_high"] < 0).sum()
            over_seeds = _over_seeds("gain", known[f"gain_{other}"].to_numpy(dtype=np.float64))
            rows.append([*key, other, len(known), better, worse, *over_seeds])
    return validate("gains", pd.DataFrame(rows, columns=list(SCHEMAS["gains"])))


def predictor_facts(records: pd.DataFrame) -> pd.DataFrame:
    """The table `predictors`: what each fit chose and how each training went, a row per fact."""
    records = _typed(records)
    names = [name for name in FACTS if name not in (*PREDICTOR, "epoch", "seed")]
    runs = records[records["epoch"] != "best"].astype(dict.fromkeys(names, "float64"))
    runs = runs.assign(place=range(len(runs)))
    rows = runs.melt([*PREDICTOR, "seed", "place"], names, "fact").dropna(subset="value")
    rows = rows.sort_values("place", kind="stable", ignore_index=True)
    return validate("predictors", rows.drop(columns="place"))


def split_sizes(records: pd.DataFrame) -> pd.DataFrame:
    """The table `splits`: clouds and objects on each side of each split."""
    return validate("splits", records[["split", *SIZES]].drop_duplicates("split").reset_index(drop=True))


def alignment_table(measures: pd.DataFrame, facts: pd.DataFrame, preset: str) -> pd.DataFrame:
    """Table III: a row per baseline and mapper, held out by objects.

    Args:
        measures: `alignment_measures`.
        facts: `predictor_facts`.
        preset: its name; the paper's L1DIV appears only with the preset `paper`.

    Returns:
        seeds and diverged count trainings. l1, l1div with its interval, skill and top1 are measured after the
        last epoch, best_l1div after the best; they are missing if every training diverged.
    """
    facts = facts[(facts["split"] == "objects") & (facts["kind"] != "reference")]
    own = measures[measures["split"] == "objects"]
    known = {(row["predictor"], row["epoch"], row["measure"]): row for row in own.to_dict("records")}
    rows = []
    for (kind, predictor), runs in facts.groupby(["kind", "predictor"], sort=False):
        trained = runs["seed"].notna().any()
        last, best = ("last", "best") if trained else ("fit", "fit")

        def cell(epoch: str, measure: str, column: str = "value", name: str = str(predictor)) -> float:
            return float(known.get((name, epoch, measure), {}).get(column, np.nan))

        row = {"kind": kind, "predictor": predictor, "seeds": runs["seed"].nunique()}
        row |= {"diverged": (runs["fact"] == "diverged_at").sum()}
        row |= {name: cell(last, name) for name in ("l1", "l1div", "skill", "top1")}
        row |= {f"l1div_{end}": cell(last, "l1div", end) for end in ("low", "high")}
        row |= {"best_l1div": cell(best, "l1div")}
        rows.append(row | {"paper_l1div": paper_figure(preset, PAPER_L1DIV, predictor)})
    return validate("table3", pd.DataFrame(rows, columns=list(SCHEMAS["table3"])))


def corruption_rows(levels: pd.DataFrame) -> pd.DataFrame:
    """The table `alignment_corruptions`: every measure by corruption level, the mean over the seeds."""
    by = ["split", "predictor", "corruption", "severity", "n", "measure"]
    long = levels.melt(by[:-1], measure_names(levels), "measure").dropna(subset="value")
    rows = []
    for key, values in long.groupby(by, sort=False)["value"]:
        value, _, low, high = _over_seeds(str(key[-1]), values.to_numpy(dtype=np.float64))
        rows.append([*key, len(values), value, low, high])
    table = pd.DataFrame(rows, columns=[*by, "seeds", "value", "low", "high"])
    return validate("alignment_corruptions", table[list(SCHEMAS["alignment_corruptions"])])


def measure_names(frame: pd.DataFrame) -> list[str]:
    """The measures among the columns of `records` or `levels`."""
    ranks = [f"r{k}" for k in RECALLED] + ["rank"]
    top = [name for name in map(str, frame) if re.fullmatch(r"top\d+", name)]
    return [
        "l1",
        "l1div",
        "skill",
        "cosine",
        *(f"{what}_{r}" for what in ("image", "cloud") for r in ranks),
        *top,
    ]


def _typed(records: pd.DataFrame) -> pd.DataFrame:
    """`records` with the types that a CSV does not state."""
    ends = [f"gain_{other}{end}" for other in COMPARED for end in ("", "_low", "_high")]
    require(records, ["split", *FACTS, *SIZES, *measure_names(records), *ends], "alignment records")
    return records.astype(FACTS)


def _finished(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs that did not diverge."""
    return runs[runs["diverged_at"].isna()]


def _is_share(measure: str) -> bool:
    return bool(re.fullmatch(r"(image_r|cloud_r|top)\d+", measure))


def _over_seeds(measure: str, values: Float[np.ndarray, " n"]) -> Spread:
    """Mean, standard deviation and the mean's interval."""
    return (spread_of_shares if _is_share(measure) else spread)(values)
