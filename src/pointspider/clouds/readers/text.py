"""Rows of numbers: .xyz, .txt, .pts, .asc and .csv, separated by blanks, commas or semicolons.

The first three columns are x, y, z. A first row of names gives the columns (x, red, nx, label and so on);
without names see `fields.cloud_from_columns`. A first row of one number, as in .pts, is the number of points.
"""

import re
from pathlib import Path

import numpy as np

from pointspider.clouds.cloud import Cloud
from pointspider.clouds.readers.fields import cloud_from_columns, cloud_from_fields
from pointspider.clouds.readers.registry import FORMATS, Format
from pointspider.core.errors import InputError

_NUMBER = rb"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?"
_ROW = re.compile(rb"((#|//)[^\n]*\n|\s)*(\d+\s*\n\s*)?" + rb"[\s,;]+".join([_NUMBER] * 3) + rb"[\s,;]")


def read(path: Path, row: int | None) -> Cloud:
    """Read a cloud."""
    with path.open(encoding="latin-1") as file:
        lines = [re.sub(r"[,;\s]+", " ", re.sub("(#|//).*", "", line)).strip() for line in file]
    lines = [line for line in lines if line]
    names: list[str] = []
    if lines and lines[0].isdecimal():
        del lines[0]
    elif lines and {"x", "y", "z"} <= set(lines[0].lower().split()):
        names = lines.pop(0).split()
    if not lines:
        raise InputError("has no points.")
    try:
        table = np.loadtxt(lines, dtype=np.float64, ndmin=2)
    except ValueError as error:
        bad = next((line for line in lines if not _is_row(line)), None)
        reason = f"'{bad[:40]}' is not a row of numbers" if bad else "rows differ in length"
        raise InputError(f"cannot be read as xyz ({reason}).") from error
    if not names:
        return cloud_from_columns(table)
    if len(names) != table.shape[1]:
        raise InputError(f"has {len(names)} names for {table.shape[1]} columns.")
    return cloud_from_fields(dict(zip(names, table.T, strict=True)))


def _is_row(line: str) -> bool:
    try:
        return bool([float(value) for value in line.split()])
    except ValueError:
        return False


FORMATS.add(
    "xyz", Format((".xyz", ".txt", ".pts", ".asc", ".csv"), read, lambda head, size: bool(_ROW.match(head)))
)
