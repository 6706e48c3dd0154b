"""Table IV: point encoders under one mapper and the same baselines."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from pointspider.core.errors import InputError
from pointspider.mappers.base import LABELS
from pointspider.study.tables.alignment import alignment_measures
from pointspider.study.tables.schemas import SCHEMAS, validate
from pointspider.study.tables.verdicts import Decision, Estimate, Verdict, estimate

#: The baseline through which every encoder is compared: a closed form, so it depends on the encoder only.
BASELINE = "ridge"
#: Measures of Table IV, besides those of the encoder.
MEASURES = ("skill", "image_r10", "cloud_r10", "top1")


def encoder_measures(records: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The table `encoders`: the rows of the table `alignment` of each encoder.

    Args:
        records: of each encoder, those of `pointspider.study.evaluate.alignment.evaluate`.

    Raises:
        InputError: there is no encoder.
    """
    if not records:
        raise InputError("table4.encoders: lists no encoder; params.yaml has examples.")
    parts = []
    for encoder, own in records.items():
        measures = alignment_measures(own.assign(split="objects")).drop(columns="split")
        parts.append(measures.assign(encoder=encoder))
    return validate("encoders", pd.concat(parts, ignore_index=True)[list(SCHEMAS["encoders"])])


def encoder_table(measures: pd.DataFrame, facts: Mapping[str, Mapping[str, Any]], norm: str) -> pd.DataFrame:
    """Table IV: two rows per encoder, through ridge and through the mapper.

    Args:
        measures: `encoder_measures`.
        facts: of each encoder, `pointspider.study.evaluate.encoders.encoder_facts`.
        norm: of the mapper.

    Returns:
        Measures after the last epoch, means over the seeds; skill with its interval over the seeds, which
        ridge does not have. classifier_top1 is the accuracy of the encoder's own classifier, missing if it
        has none for these classes.
    """
    rows = []
    for encoder, own in facts.items():
        for predictor in (BASELINE, LABELS[norm]):
            row: dict[str, Any] = {"encoder": encoder, "predictor": predictor}
            for measure in MEASURES:
                row[measure] = value(measures, encoder, predictor, measure).value
            skill = value(measures, encoder, predictor, "skill")
            row |= {"skill_low": skill.low, "skill_high": skill.high}
            row["classifier_top1"] = value(measures, encoder, "classifier", "top1").value
            rows.append(row | {name: own[name] for name in ("parameters", "clouds_per_second")})
    return validate("table4", pd.DataFrame(rows)[list(SCHEMAS["table4"])])


def value(measures: pd.DataFrame, encoder: str, predictor: str, measure: str) -> Estimate:
    """A measure after the last epoch; NaN if there is none."""
    last = measures[measures["epoch"] != "best"]
    found = estimate(last, encoder=encoder, predictor=predictor, measure=measure)
    return found or Estimate(float("nan"))


def encoder_verdicts(table: pd.DataFrame) -> list[Verdict]:
    """What a better encoder and a better mapper add: the spread over encoders, and mapper minus ridge."""
    skills = table.pivot(index="encoder", columns="predictor", values="skill")
    skills = skills[list(dict.fromkeys(table["predictor"]))]
    verdicts = []
    for predictor, own in skills.items():
        known = own.dropna()
        if known.empty:
            verdicts.append(Verdict(str(predictor), "encoders", Decision.DIVERGED))
            continue
        figures = {
            "best": known.idxmax(), "worst": known.idxmin(), "high": known.max(), "low": known.min(),
            "spread": known.max() - known.min(),
        }  # fmt: skip
        verdicts.append(Verdict(str(predictor), "encoders", Decision.BETTER, figures))
    mapper = skills.columns[1]
    gain = (skills[mapper] - skills[BASELINE]).dropna()
    figures = {"low": gain.min(), "high": gain.max(), "n": len(gain), "better": int((gain > 0).sum())}
    decision = {0: Decision.WORSE, len(gain): Decision.BETTER}.get(figures["better"], Decision.MIXED)
    return [*verdicts, Verdict(str(mapper), "same_encoder", decision, figures)]
