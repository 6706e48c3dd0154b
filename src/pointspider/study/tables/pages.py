"""The Markdown pages that present the tables, and the metrics of the selected mapper."""

import itertools
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from pointspider.mappers.base import LABELS
from pointspider.study.evaluate.alignment import RECALLED
from pointspider.study.evaluate.zero_shot import CLEAN, FIRST_DRAW, TEST
from pointspider.study.tables.choice import CRITERION, choice_verdict
from pointspider.study.tables.encoders import encoder_verdicts
from pointspider.study.tables.search import ALL, search_verdicts, seconds_verdict
from pointspider.study.tables.speed import TASK
from pointspider.study.tables.verdicts import (
    Alignment,
    Estimate,
    Verdict,
    estimate,
    speed_verdicts,
    zero_shot_verdicts,
)
from pointspider.study.tables.zero_shot import ALL_DRAWS, top_measures

Tables = Mapping[str, pd.DataFrame]
MISSING = Estimate(float("nan"))


def summary_page(tables: Tables, provenance: Mapping[str, Mapping[str, Any]]) -> str:
    """The page of Tables II and III; it opens with the findings.

    Args:
        tables: by the stems of their files.
        provenance: the JSON files of `table2` and `table3`.
    """
    zero_shot, prompts = tables["zero_shot"], provenance["table2"]["prompts"]
    alignment = alignment_of(tables)

    rows = zero_shot.to_dict("records")
    known = {(row["model"], row["set"], row["measure"], row["prompts"]): row for row in rows}

    def accuracy(model: str, name: str, measure: str, style: str = prompts) -> Mapping[Any, Any]:
        return known.get((model, name, measure, style), {})

    def value(predictor: str, measure: str, split: str = "objects") -> Estimate:
        return alignment.value(predictor, measure, split) or MISSING

    def best_value(predictor: str, measure: str) -> Estimate:
        best = alignment.measures[alignment.measures["epoch"] != "last"]
        return estimate(best, split="objects", predictor=predictor, measure=measure) or MISSING

    def best_epochs(predictor: str) -> list[int]:
        own = alignment.facts[alignment.facts["split"] == "objects"]
        own = own[(own["predictor"] == predictor) & (own["fact"] == "best_epoch")]
        epochs = sorted(own["value"].astype(int))
        return sorted({*epochs[:1], *epochs[-1:]})

    def predictors() -> list[str]:
        facts, measures = alignment.facts, alignment.measures
        names = [*measures[measures["kind"] == "reference"]["predictor"], *facts["predictor"]]
        return list(dict.fromkeys(names))

    models, top = list(dict.fromkeys(zero_shot["model"])), top_measures(zero_shot)
    best = max(models, key=lambda model: accuracy(model, TEST, "top1")["value"])
    row = accuracy(best, TEST, "top1")
    first = accuracy(models[0], FIRST_DRAW, "top1")
    sizes = {"draw": first["n"], "test": row["n"], "clean": accuracy(models[0], CLEAN, "top1")["n"]}
    sizes["draws"] = zero_shot.loc[zero_shot["set"].str.startswith("draw_"), "set"].nunique()
    search = search_verdicts(tables["search"], tables["search_differences"])
    return render_template(
        "summary.md.j2",
        made=provenance["table2"],
        made2=provenance["table2"],
        made3=provenance["table3"],
        zero_shot_verdicts=zero_shot_verdicts(zero_shot, tables["model_pairs"], prompts),
        alignment_verdicts=[*alignment.verdicts(), choice_verdict(tables["choice"])],
        zero_shot_best={"model": best, "n": row["n"], "top1": row, "chance": row["chance"]},
        models=models,
        tops=top,
        styles=list(dict.fromkeys(zero_shot["prompts"])),
        sizes=sizes,
        accuracy=accuracy,
        table3=tables["table3"].to_dict("records"),
        splits=tables["splits"].set_index("split").to_dict("index"),
        predictors=predictors,
        value=value,
        best_value=best_value,
        best_epochs=best_epochs,
        ends=(min(RECALLED), max(RECALLED)),
        made5=provenance["table5"],
        table5=tables["table5"].to_dict("records"),
        search_rows=_search_rows(tables["search"]),
        search_verdicts=search,
        search_groups=_groups(search, lambda v: (v.comparison, v.figures["other"])),
    )


def speed_page(table1: pd.DataFrame, measures: pd.DataFrame, provenance: Mapping[str, Any]) -> str:
    """The page of Table I, whose figures vary from run to run.

    Args:
        table1: the table `table1`.
        measures: the table `speed_measures`.
        provenance: table1.json, with the `variants` of speed.json.
    """
    wide = measures.pivot(index=TASK, columns="measure", values="value").reset_index()
    extra = [name for name in wide if name in TASK or name not in table1]
    rows = table1.merge(wide[extra], how="left", on=TASK).reindex(
        columns=list(dict.fromkeys([*table1, *measures["measure"], *SPEED_COLUMNS]))
    )
    return render_template(
        "table1.md.j2",
        made=provenance,
        rows=rows.to_dict("records"),
        verdicts=speed_verdicts(table1, measures, provenance["variants"]),
    )


def search_speed_page(table: pd.DataFrame, provenance: Mapping[str, Any]) -> str:
    """The page of the times of Table V, which vary from run to run.

    Args:
        table: the table `table5_seconds`.
        provenance: preset, data, models, and the variant and device of the renders.
    """
    rows = table.astype({"severity": "object"}).where(table.notna(), None).to_dict("records")
    return render_template("table5_seconds.md.j2", made=provenance, rows=rows, v=seconds_verdict(table))


def encoders_page(
    table4: pd.DataFrame, facts: Mapping[str, Mapping[str, Any]], provenance: Mapping[str, Any]
) -> str:
    """The page of Table IV.

    Args:
        table4: the table `table4`.
        facts: of each encoder, `pointspider.study.evaluate.encoders.encoder_facts`.
        provenance: table4.json.
    """
    rows, verdicts = table4.to_dict("records"), encoder_verdicts(table4)
    return render_template("table4.md.j2", made=provenance, rows=rows, facts=facts, verdicts=verdicts)


#: Measures that the page of Table I shows, whether they were measured or not.
SPEED_COLUMNS = (
    "first_points_per_second", "cpu_seconds", "psnr_db", "psnr_to_reference_db", "mean_abs_error",
    "times_paper",
)  # fmt: skip


def _search_rows(search: pd.DataFrame) -> list[dict[str, Any]]:
    """A row per path and severity (None: all), with an estimate of each measure."""
    rows: dict[tuple[str, str, int | None], dict[str, Any]] = {}
    for row in search[search["corruption"] == ALL].to_dict("records"):
        severity = None if pd.isna(row["severity"]) else int(row["severity"])
        key = (row["path"], row["model"], severity)
        own = rows.setdefault(key, dict(zip(("path", "model", "severity"), key, strict=True)))
        own[row["measure"]] = Estimate(row["value"], row["low"], row["high"])
    return list(rows.values())


def alignment_of(tables: Tables) -> Alignment:
    """The tables of Table III."""
    return Alignment(*(tables[name] for name in ("table3", "alignment", "gains", "predictors", "splits")))


def selected_metrics(tables: Tables, norm: str, prompts: str) -> dict[str, float | int | str | None]:
    """The metrics of the selected mapper and of the best CLIP, flat, for `dvc metrics`.

    Args:
        tables: `table3`, `alignment`, `zero_shot` and `choice`.
        norm: none, layer or response: `mapper.norm` of params.yaml.
        prompts: the style of Table II.

    Returns:
        Values that JSON can represent; a measure that does not exist (all seeds diverged, say) is None.
    """
    predictor, measures = LABELS[norm], tables["alignment"]
    table3 = tables["table3"]
    own = measures[(measures["split"] == "objects") & (measures["predictor"] == predictor)]
    known = {(row["epoch"], row["measure"]): row for row in own.to_dict("records")}
    zero_shot = tables["zero_shot"]
    top1 = zero_shot[(zero_shot["prompts"] == prompts) & (zero_shot["measure"] == "top1")]
    clips = {
        model: dict(zip(own["set"], own["value"], strict=True))
        for model, own in top1.groupby("model", sort=False)
    }
    clip = max(clips, key=lambda model: clips[model][ALL_DRAWS])

    def cell(epoch: str, measure: str, column: str = "value") -> float | None:
        found = float(known.get((epoch, measure), {}).get(column, "nan"))
        return None if pd.isna(found) else round(found, 6)

    chosen = choice_verdict(tables["choice"])
    return {
        "mapper": predictor,
        "seeds_diverged": int(table3.loc[table3["predictor"] == predictor, "diverged"].iloc[0]),
        "l1": cell("last", "l1"),
        "l1div": cell("last", "l1div"),
        "l1div_std": cell("last", "l1div", "std"),
        "skill": cell("last", "skill"),
        "best_l1": cell("best", "l1"),
        "best_l1div": cell("best", "l1div"),
        "best_skill": cell("best", "skill"),
        "zero_shot_top1": round(clips[clip][FIRST_DRAW], 6),
        "zero_shot_top1_mean": round(clips[clip][ALL_DRAWS], 6),
        "zero_shot_top1_clean": round(clips[clip][CLEAN], 6),
        "zero_shot_model": str(clip),
        "search_predictor": chosen.subject,
        "search_criterion": CRITERION,
        "search_folds": chosen.figures["folds"],
        "search_queries": chosen.figures["n"],
        **{f"search_{name}": round(score, 6) for name, score in chosen.figures["scores"].items()},
    }


# ---------------------------------------------------------------------------------------------------- filters


def _number(value: float | None, spec: str) -> str:
    return "" if value is None or pd.isna(value) else f"{value:{spec}}"


def _ends(value: Estimate | Mapping[str, Any]) -> Estimate:
    return value if isinstance(value, Estimate) else Estimate(*(value.get(k, float("nan")) for k in ENDS))


ENDS = ("value", "low", "high")


def _brackets(value: Estimate | Mapping[str, Any], spec: str) -> str:
    known = _ends(value)
    return "" if pd.isna(known.low) else f"[{known.low:{spec}}, {known.high:{spec}}]"


def _interval(value: Estimate | Mapping[str, Any], spec: str, ends: str | None = None) -> str:
    """A value with its interval, as far as they exist."""
    return f"{_number(_ends(value).value, spec)} {_brackets(value, ends or spec)}".strip()


def _deviation(row: Mapping[str, Any], spec: str) -> str:
    """Mean ± standard deviation, as far as they exist."""
    spread = _number(row["std"], spec)
    return _number(row["value"], spec) + (f" ± {spread}" if spread else "")


def _by_comparison(verdicts: Iterable[Verdict]) -> dict[str, list[Verdict]]:
    names = ("pairs", "best", "claim", "retrieval", "median_objects", "ridge_objects", "median_classes")
    groups: dict[str, list[Verdict]] = {name: [] for name in names}
    for verdict in verdicts:
        groups.setdefault(verdict.comparison, []).append(verdict)
    return groups


def _groups(verdicts: Iterable[Verdict], key: Callable[[Verdict], Any]) -> list[tuple[Any, list[Verdict]]]:
    """Verdicts with equal keys together, in the order in which the keys appear."""
    groups: dict[Any, list[Verdict]] = {}
    for verdict in verdicts:
        groups.setdefault(key(verdict), []).append(verdict)
    return list(groups.items())


def render_template(template: str, **values: object) -> str:
    """Render a template of this package."""
    environment = Environment(
        loader=PackageLoader("pointspider.study"), undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters |= {
        "number": _number,
        "interval": _interval,
        "brackets": _brackets,
        "deviation": _deviation,
        "milliseconds": lambda row: _interval(
            Estimate(*(1e3 * row[name] for name in ("seconds", "low", "high"))), ",.3g"
        ),
        "json": lambda value: json.dumps(value, separators=(",", ":")).replace("<", "\\u003c"),
        "groupby_comparison": _by_comparison,
        "text": lambda cell: "" if pd.isna(cell) else cell,
        "weights": lambda name: "trained by this workflow" if name == "train" else name,
    }
    environment.globals["picture"] = _picture
    page = environment.get_template(template).render(values)
    return "\n".join(line.rstrip() for line in _single_blank_lines(page.splitlines())).strip() + "\n"


def _picture(row: Mapping[str, Any]) -> str:
    """The size of a picture; empty for a variant that was not measured."""
    known = not pd.isna(row["resolution"])
    return f"{row['resolution']:.0f}², {row['samples_per_pixel']:.0f} samples" if known else ""


def _single_blank_lines(lines: Iterable[str]) -> Iterable[str]:
    for blank, group in itertools.groupby(lines, key=lambda line: not line.strip()):
        yield from [""] if blank else group
