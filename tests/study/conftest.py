"""Builders of the records and tables of the study, from hand-made numbers."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from pointspider.study.evaluate.alignment import FACTS
from pointspider.study.evaluate.search import Path, duplicate_records, search_records
from pointspider.study.evaluate.zero_shot import compare_models, corruption_records, zero_shot_records
from pointspider.study.tables.alignment import (
    alignment_measures,
    alignment_table,
    corruption_rows,
    gains,
    measure_names,
    predictor_facts,
    split_sizes,
)
from pointspider.study.tables.search import search_differences, search_measures, search_table
from pointspider.study.tables.speed import speed_measures, speed_table
from pointspider.study.tables.zero_shot import zero_shot_measures, zero_shot_table

# ---------------------------------------------------------------------------------------------------- Table I


def _speed_rows(variant: str, method: str, quality: str | None, seconds: list[float], **facts) -> list[dict]:
    """The rows of one task: the first picture takes 5 s, the timed clouds of 1000 points `seconds`."""
    common = {"variant": variant, "method": method, "quality": quality, "resolution": 800}
    common |= {"samples_per_pixel": 256, "points": 1000, "cpu_seconds": 8.0, **facts}
    psnr = {"psnr_db": 47.0} if method == "reference" else {"psnr_db": 45.5, "psnr_to_reference_db": 44.5}
    psnr |= {} if method == "reference" else {"mean_abs_error": 0.25}
    first = common | {"cloud": 0, "pictures": 1, "seconds": 5.0}
    return [first] + [
        common | psnr | {"cloud": i, "pictures": 1, "seconds": value} for i, value in enumerate(seconds, 1)
    ]


def _speed_records(rows: list[dict]) -> pd.DataFrame:
    columns = [
        "variant", "method", "quality", "resolution", "samples_per_pixel", "cloud", "points", "pictures",
        "seconds", "cpu_seconds", "psnr_db", "psnr_to_reference_db", "mean_abs_error",
    ]  # fmt: skip
    return pd.DataFrame(rows).reindex(columns=columns)


def _speed_tables(records: pd.DataFrame, preset: str, variants: dict | None = None) -> SimpleNamespace:
    """The measures, the table and the provenance of `records`."""
    names = dict.fromkeys(records["variant"])
    made = {"preset": preset, "data": "procedural", "seeds": {"render": 6}}
    made["variants"] = variants or {name: {"device": "a machine"} for name in names}
    measures = speed_measures(records, preset)
    return SimpleNamespace(
        measures=measures, table=speed_table(measures, made["variants"], preset), made=made, records=records
    )


@pytest.fixture
def speed_tables():
    """`speed_tables(preset, samples=64)`: llvm, where ours is 40 times as fast as the reference; no cuda."""

    def build(preset: str = "embedded", samples: int = 64, **changes) -> SimpleNamespace:
        same = {"samples_per_pixel": samples}
        rows = _speed_rows("llvm_ad_rgb", "reference", None, [3.9, 4.0, 4.1], **same)
        rows += _speed_rows(
            "llvm_ad_rgb", "ours", "clip", [0.1, 0.1, 0.1], resolution=224, cpu_seconds=0.2, **same
        )
        variants = {
            "cuda_ad_rgb": {"reason": "no NVIDIA driver"},
            "llvm_ad_rgb": {"device": "a CPU, LLVM 19.1.7"},
        }
        return _speed_tables(_speed_records(rows), preset, variants | changes)

    return build


@pytest.fixture
def reference_tables():
    """`reference_tables(llvm_ad_rgb=[3, 4, 5])`: the reference's seconds, for the preset `paper`."""

    def build(preset: str = "paper", facts: dict | None = None, **seconds: list[float]) -> SimpleNamespace:
        rows = [
            row
            for name, each in seconds.items()
            for row in _speed_rows(name, "reference", None, each, **(facts or {}).get(name, {}))
        ]
        return _speed_tables(_speed_records(rows), preset)

    return build


# --------------------------------------------------------------------------------------------------- Table II

VARIANTS = [("original", 0), ("shear", 1), ("shear", 3), ("uniform", 1), ("uniform", 3)]


def _hits(right: dict[str, list[int]], styles: tuple[str, ...]) -> pd.DataFrame:
    """As `zero_shot_hits`: the first clouds of each set are correct, twice as many in the top 3."""
    draws = [
        [(f"draw_{d:04d}", "shear", 1, k) for k in range(40)]
        for d in range(len(next(iter(right.values()))) - 1)
    ]
    sets = [*draws, [("test", *variant, k) for variant in VARIANTS for k in range(40)]]
    rows = [
        {"model": model, "prompts": style, "set": name, "cloud_id": f"class_{k}/{corruption}_{severity}/0000",
         "class": f"class_{k}", "object": "0000", "corruption": corruption, "severity": severity,
         "top1": place < count, "top3": place < 2 * count}
        for model, counts in right.items()
        for style in styles
        for clouds, count in zip(sets, counts, strict=True)
        for place, (name, corruption, severity, k) in enumerate(clouds)
    ]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.fixture
def zero_shot_tables():
    """`zero_shot_tables({model: correct clouds})`: Table II of 40 objects, each the only one of its class.

    The correct clouds are those of each draw of 40, and last of the 200 test clouds: every object at five
    levels, the clean clouds first.
    """

    def build(
        right: dict[str, list[int]], preset: str = "embedded", styles: tuple[str, ...] = ("spaces",)
    ) -> SimpleNamespace:
        hits = _hits(right, styles)
        records = zero_shot_records(hits)
        weights = {model: "train" if model == "tiny" else f"laion/{model}" for model in right}
        made = {
            "preset": preset,
            "data": "procedural",
            "prompts": styles[-1],
            "weights": weights,
            "cloud_encoder": None,
        }
        measures = zero_shot_measures(records, preset, 40)
        asked = hits[hits["prompts"] == styles[-1]]
        return SimpleNamespace(
            records=records, made=made, measures=measures,
            table=zero_shot_table(measures, styles[-1], weights), pairs=compare_models(asked),
            corruptions=corruption_records(asked), hits=hits,
        )  # fmt: skip

    return build


# -------------------------------------------------------------------------------------------------- Table III

BASELINES = {
    "zero": 0.8, "mean": 0.51, "median": 0.5, "procrustes": 0.4, "ridge": 0.2, "reduced_rank": 0.21,
    "lad": 0.3,
}  # fmt: skip
NOISE = 0.02  # half of every interval of a gain


def _alignment_records(l1: dict[str, list[float]], classes: dict[str, list[float]]) -> pd.DataFrame:
    """As `evaluate` returns them for both splits; NaN is a seed that diverged at epoch 7."""
    rows: list[dict] = []
    for split, given in (("objects", l1), ("classes", classes)):
        rows += [
            {
                "split": split,
                "kind": "reference",
                "predictor": "renders",
                "epoch": "fit",
                "top1": 0.9,
                "top3": 1,
            },
            {"split": split, "kind": "reference", "predictor": "classifier", "epoch": "fit", "top1": 0.8},
        ]
        for name, value in BASELINES.items():
            rows.append({"split": split, "kind": "baseline", "predictor": name, "epoch": "fit", "l1": value})
            rows[-1] |= {
                "l1_train": value,
                **({"lambda": 0.1, "lambda_at_end": 0} if name == "ridge" else {}),
            }
        for mapper, values in given.items():
            kind = "baseline" if mapper == "linear_layer" else "mapper"
            for seed, value in enumerate(values):
                run = {"split": split, "kind": kind, "predictor": mapper, "seed": seed, "epochs": 100}
                run |= {"batch_size": 20, "base_width": 8, "best_epoch": 40 + 10 * seed}
                run |= {"diverged_at": 7 if np.isnan(value) else None}
                rows.append(run | {"epoch": "last", "l1": value})
                rows.append(run | {"epoch": "best", "l1": 0.3 if np.isnan(value) else value / 2})
    frame = pd.DataFrame(rows)
    frame = frame.reindex(columns=[*FACTS, *frame.columns.difference(FACTS, sort=False)])
    frame = frame.assign(n_train=20, n_test=40, objects=40, gallery=40)
    loss = frame["l1"].astype(float)
    frame["l1div"], frame["skill"] = 1 / loss, 1 - loss / 0.5
    for other in ("median", "ridge"):
        gain = BASELINES[other] - loss
        frame[f"gain_{other}"] = gain
        frame[f"gain_{other}_low"], frame[f"gain_{other}_high"] = gain - NOISE, gain + NOISE
    frame["cosine"] = 1 - loss
    for what in ("image", "cloud"):
        frame[f"{what}_rank"] = 40 * loss
        for k in (1, 5, 10):
            frame[f"{what}_r{k}"] = (k / 40) ** (2 * loss).clip(0, 1)
    for name, best in (("top1", 1.0), ("top3", 1.2)):
        frame[name] = frame[name].fillna((best - loss).clip(0, 1))
    return frame.astype(FACTS)


def _levels(records: pd.DataFrame) -> pd.DataFrame:
    """As `evaluate` returns them, for shear and uniform noise: L1 grows with severity."""
    records = records[(records["epoch"] != "best") & (records["kind"] != "reference") & records["l1"].notna()]
    levels = [
        records.assign(corruption=name, severity=severity, n=n, l1=records["l1"] * (1 + 0.2 * severity))
        for name, severity, n in (("original", 0, 40), ("shear", 1, 24), ("shear", 3, 16), ("uniform", 1, 40))
    ]
    columns = ["split", "predictor", "seed", "corruption", "severity", "n", *measure_names(records)]
    return pd.concat(levels, ignore_index=True)[columns]


@pytest.fixture
def alignment_records():
    """`alignment_records({mapper: last L1 of each seed}, classes={…})`; the best epochs have half of it."""

    def build(l1: dict[str, list[float]], classes: dict[str, list[float]] | None = None) -> pd.DataFrame:
        return _alignment_records(l1, classes or l1)

    return build


@pytest.fixture
def alignment_tables(alignment_records):
    """The tables of Table III of `alignment_records`, by the stems of their files, and the records."""

    def build(
        l1: dict[str, list[float]], preset: str = "embedded", classes: dict[str, list[float]] | None = None
    ) -> dict[str, pd.DataFrame]:
        records = alignment_records(l1, classes)
        measures, facts = alignment_measures(records), predictor_facts(records)
        return {
            "table3": alignment_table(measures, facts, preset),
            "alignment": measures,
            "gains": gains(records),
            "predictors": facts,
            "splits": split_sizes(records),
            "alignment_corruptions": corruption_rows(_levels(records)),
            "records": records,
        }

    return build


# ---------------------------------------------------------------------------------------------------- Table V


@pytest.fixture
def searched():
    """Test clouds, 8 objects of 4 classes at 3 levels, and embeddings by three paths.

    A render is a direction of the object with noise that grows with severity; point features have more
    noise; `ridge` predicts the renders exactly, and `constant` ignores the cloud.
    """
    rng = np.random.default_rng(0)
    manifest = pd.DataFrame(
        [
            (f"class_{k // 2}/{name}_{severity}/{k:04d}", f"class_{k // 2}", f"{k:04d}", name, severity)
            for k in range(8)
            for name, severity in (("original", 0), ("shear", 1), ("uniform", 5))
        ],
        columns=["cloud_id", "class", "object", "corruption", "severity"],
    )  # fmt: skip
    classes, objects = rng.normal(size=(4, 16)), rng.normal(size=(8, 16))
    own = np.arange(len(manifest)) // 3
    clean = classes[own // 2] + 0.5 * objects[own]
    noise = rng.normal(size=clean.shape) * manifest["severity"].to_numpy()[:, None]
    renders, points = clean + 0.1 * noise, clean + 0.3 * noise
    paths = {Path("renders", "tiny"): renders, Path("points", "pointnet"): points}
    paths |= {Path("mapped", "ridge"): renders.copy(), Path("mapped", "constant"): np.ones((24, 3))}
    return manifest, paths


@pytest.fixture
def search_tables(searched):
    """The tables of Table V of `searched`, by the stems of their files."""
    records, (duplicates, curves) = search_records(*searched), duplicate_records(*searched)
    measures = search_measures(records, duplicates)
    return {
        "table5": search_table(measures),
        "search": measures,
        "search_differences": search_differences(records),
        "duplicates": curves,
    }
