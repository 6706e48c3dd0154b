"""The columns of every table: name, type, allowed values, and whether cells may be empty.

`write_table` refuses a frame that does not match its schema, so that a table on disk always does. A table is
tidy: a row is one observation, a cell one number or one code. What produced a table is in a JSON file of
provenance with the table's name.
"""

import re
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from pointspider.core.errors import InputError
from pointspider.core.files import read_csv, write_csv, write_json

#: Packages whose versions the provenance states, as far as they are installed where the table is written.
PACKAGES = ("pointspider", "numpy", "pandas", "scipy", "torch", "mitsuba")


class Column(NamedTuple):
    """A column: its pandas dtype, a pattern that every text cell matches, and whether cells may be empty."""

    dtype: str
    nullable: bool = False
    pattern: str = r"\S+"


def _one_of(*values: str, nullable: bool = False) -> Column:
    return Column("string", nullable, "|".join(map(re.escape, values)))


NAME = Column("string")
COUNT, COUNT_OR_NONE = Column("int64"), Column("Int64", nullable=True)
NUMBER, NUMBER_OR_NONE = Column("float64"), Column("float64", nullable=True)
SPLIT = _one_of("objects", "classes")
KIND = _one_of("reference", "baseline", "mapper")
EPOCH = _one_of("fit", "last", "best")
METHOD, QUALITY = _one_of("reference", "ours"), _one_of("reference", "clip", nullable=True)
PATH = {"path": _one_of("renders", "points", "mapped"), "model": NAME}
SET = Column("string", pattern=r"draw_\d{4}|all_draws|test|clean")
TOP = Column("string", pattern=r"top\d+")
INTERVAL = {"low": NUMBER_OR_NONE, "high": NUMBER_OR_NONE}
LEVEL = {"corruption": NAME, "severity": COUNT, "n": COUNT}

#: The columns of each table, in order, by the stem of its file.
SCHEMAS: dict[str, dict[str, Column]] = {
    "speed": {
        "variant": NAME, "method": METHOD, "quality": QUALITY, "resolution": COUNT,
        "samples_per_pixel": COUNT, "cloud": COUNT, "points": COUNT, "pictures": COUNT, "seconds": NUMBER,
        "cpu_seconds": NUMBER, "psnr_db": NUMBER_OR_NONE, "psnr_to_reference_db": NUMBER_OR_NONE,
        "mean_abs_error": NUMBER_OR_NONE,
    },
    "table1": {
        "variant": NAME, "status": _one_of("measured", "unavailable"),
        "method": _one_of("reference", "ours", nullable=True), "quality": QUALITY,
        "resolution": COUNT_OR_NONE, "samples_per_pixel": COUNT_OR_NONE, "clouds": COUNT,
        "points_per_second": NUMBER_OR_NONE, **INTERVAL, "ratio": NUMBER_OR_NONE,
        "paper_points_per_second": NUMBER_OR_NONE,
    },
    "speed_measures": {
        "variant": NAME, "method": METHOD, "quality": QUALITY, "resolution": COUNT,
        "samples_per_pixel": COUNT, "measure": NAME, "n": COUNT, "value": NUMBER, **INTERVAL,
    },
    "zero_shot": {
        "model": NAME, "prompts": NAME, "set": SET,
        "measure": Column("string", pattern=r"top\d+(_minus_paper)?"), "n": COUNT, "value": NUMBER,
        "std": NUMBER_OR_NONE, **INTERVAL, "chance": NUMBER_OR_NONE, "paper": NUMBER_OR_NONE,
    },
    "model_pairs": {
        "set": SET, "model": NAME, "other": NAME, "unit": _one_of("clouds", "objects"), "n": COUNT,
        "ahead": COUNT, "behind": COUNT, "p": NUMBER, "p_holm": NUMBER,
    },
    "zero_shot_corruptions": {
        "model": NAME, "measure": TOP, **LEVEL, "value": NUMBER, **INTERVAL,
    },
    "table3": {
        "kind": KIND, "predictor": NAME, "seeds": COUNT, "diverged": COUNT, "l1": NUMBER_OR_NONE,
        "l1div": NUMBER_OR_NONE, "l1div_low": NUMBER_OR_NONE, "l1div_high": NUMBER_OR_NONE,
        "skill": NUMBER_OR_NONE, "top1": NUMBER_OR_NONE, "best_l1div": NUMBER_OR_NONE,
        "paper_l1div": NUMBER_OR_NONE,
    },
    "alignment": {
        "split": SPLIT, "kind": KIND, "predictor": NAME, "epoch": EPOCH, "measure": NAME, "n": COUNT,
        "value": NUMBER, "std": NUMBER_OR_NONE, **INTERVAL,
        "unit": _one_of("seeds", "objects", nullable=True), "chance": NUMBER_OR_NONE,
    },
    "gains": {
        "split": SPLIT, "kind": KIND, "predictor": NAME, "epoch": EPOCH, "other": NAME, "n": COUNT,
        "better": COUNT, "worse": COUNT, "value": NUMBER, "std": NUMBER_OR_NONE, **INTERVAL,
    },
    "predictors": {
        "split": SPLIT, "kind": KIND, "predictor": NAME, "seed": COUNT_OR_NONE, "fact": NAME,
        "value": NUMBER,
    },
    "choice": {
        "predictor": NAME, "fold": COUNT, "n": COUNT, "reciprocal_rank": NUMBER_OR_NONE,
        "skill": NUMBER_OR_NONE,
    },
    "table4": {
        "encoder": NAME, "predictor": NAME, "skill": NUMBER_OR_NONE, "skill_low": NUMBER_OR_NONE,
        "skill_high": NUMBER_OR_NONE, "image_r10": NUMBER_OR_NONE, "cloud_r10": NUMBER_OR_NONE,
        "top1": NUMBER_OR_NONE, "classifier_top1": NUMBER_OR_NONE, "parameters": COUNT,
        "clouds_per_second": NUMBER,
    },
    "encoders": {
        "encoder": NAME, "kind": KIND, "predictor": NAME, "epoch": EPOCH, "measure": NAME, "n": COUNT,
        "value": NUMBER, "std": NUMBER_OR_NONE, **INTERVAL,
        "unit": _one_of("seeds", "objects", nullable=True), "chance": NUMBER_OR_NONE,
    },
    "splits": {"split": SPLIT, "n_train": COUNT, "n_test": COUNT, "objects": COUNT, "gallery": COUNT},
    "alignment_corruptions": {
        "split": SPLIT, "predictor": NAME, "measure": NAME, **LEVEL, "seeds": COUNT, "value": NUMBER,
        **INTERVAL,
    },
    "table5": {
        **PATH, "class_map": NUMBER, "class_map_low": NUMBER_OR_NONE, "class_map_high": NUMBER_OR_NONE,
        "class_r1": NUMBER, "object_map": NUMBER, "object_map_low": NUMBER_OR_NONE,
        "object_map_high": NUMBER_OR_NONE, "object_r1": NUMBER, "duplicate_ap": NUMBER,
        "duplicate_recall": NUMBER,
    },
    "search": {
        **PATH, "measure": NAME, "corruption": NAME, "severity": COUNT_OR_NONE, "n": COUNT,
        "value": NUMBER, **INTERVAL,
    },
    "search_differences": {
        **PATH, "other": NAME, "other_model": NAME, "measure": NAME, "n": COUNT, "value": NUMBER,
        **INTERVAL,
    },
    "duplicates": {**PATH, "severity": COUNT, "recall": NUMBER, "precision": NUMBER},
    "search_seconds": {
        "step": _one_of("image_embedding", "point_embedding", "prediction"), "severity": COUNT,
        "cloud_id": NAME, "seconds": NUMBER, "cpu_seconds": NUMBER,
    },
    "table5_seconds": {
        "path": PATH["path"], "step": NAME, "severity": COUNT_OR_NONE, "n": COUNT, "seconds": NUMBER,
        **INTERVAL, "cpu_seconds": NUMBER,
    },
}  # fmt: skip


def table2_schema(columns: Iterable[str]) -> dict[str, Column]:
    """The schema of Table II, whose columns depend on `zero_shot.top`."""
    first = {"model": NAME, "weights": Column("string", pattern=r".+")}
    return first | {
        name: NUMBER_OR_NONE
        for name in columns
        if re.fullmatch(r"top\d+(_low|_high|_mean|_test)?|paper_top\d+", name)
    }


def validate(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """`frame` with the types of the schema `name`.

    Raises:
        InputError: the columns, a type or a cell do not match the schema.
    """
    schema = table2_schema(frame.columns) if name == "table2" else SCHEMAS[name]
    if list(frame.columns) != list(schema):
        raise InputError(f"table {name}: has the columns {list(frame.columns)}, not {list(schema)}.")
    typed = {}
    for column, (dtype, nullable, pattern) in schema.items():
        if frame[column].isna().any() and not nullable:
            raise InputError(f"table {name}: column '{column}' has empty cells.")
        try:
            safe = "Int64" if dtype == "int64" else dtype  # NumPy truncates 1.5
            values = (
                frame[column].astype(pd.api.types.pandas_dtype(safe)).astype(pd.api.types.pandas_dtype(dtype))
            )
        except (TypeError, ValueError) as error:
            raise InputError(f"table {name}: column '{column}' is not of type {dtype} ({error}).") from error
        if dtype == "string":
            known = values.dropna()
            wrong = known[~known.str.fullmatch(pattern)]
            if len(wrong):
                raise InputError(f"table {name}: column '{column}' has the value '{wrong.iloc[0]}'.")
        typed[column] = values
    return pd.DataFrame(typed)


def write_table(path: str | Path, frame: pd.DataFrame) -> None:
    """Write a table as CSV; the stem of `path` is the name of its schema.

    Raises:
        InputError: see `validate`.
    """
    write_csv(path, validate(Path(path).stem, frame))


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a table that `write_table` wrote.

    Raises:
        InputError: the file is missing, or does not match the schema of its name.
    """
    try:
        return validate(Path(path).stem, read_csv(path))
    except InputError as error:
        raise InputError(f"{path}: {error} Delete it and run again.") from error


def write_provenance(path: str | Path, tables: Iterable[str | Path], **facts: object) -> None:
    """Write what produced `tables`: `facts`, and the versions of the packages installed here."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    names = [Path(table).name for table in tables]
    write_json(path, {"tables": names, **facts, "versions": versions})
