"""Find clouds of an index that duplicate each other. Deletes nothing.

`--near` (default) compares embeddings. `--exact` finds clouds with the same points in any order, and scaled
or moved copies.
"""

import argparse
import csv
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pointspider.cli.indices import add_index, draw_points, load_item, open_index, write_sheet

if TYPE_CHECKING:
    from pointspider.index.index import Index
    from pointspider.index.results import Duplicates

#: Groups, and clouds of each, on a sheet.
GROUPS, CLOUDS = 12, 6
FIELDS = ["group", "kind", "id", "class", "path", "similarity_to_kept", "weakest", "keep"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--near", action="store_true", help="compare embeddings (default)")
    kind.add_argument("--exact", action="store_true", help="compare points")
    parser.add_argument(
        "--threshold",
        default="auto",
        help="smallest cosine; auto (default): as calibrated by `index`",
    )
    parser.add_argument(
        "--groups",
        choices=["complete", "components", "pairs"],
        default="complete",
        help="complete (default): every pair of a group is similar; components; pairs",
    )
    parser.add_argument(
        "--between",
        nargs=2,
        metavar=("PART", "PART"),
        help="pairs of a cloud of one part and one of the other: folders of the ids, or FIELD=VALUE",
    )
    parser.add_argument("--keep", choices=["first", "most-points"], default="first", help="of each group")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="a JSON object per cloud and line")
    form.add_argument("--csv", action="store_true", help="CSV with a header, a line per cloud")
    parser.add_argument("--histogram", type=Path, metavar="PNG", help="plot the similarities")
    parser.add_argument("--sheet", type=Path, metavar="PNG", help=f"draw up to {GROUPS} groups")
    add_index(parser)


def run(options: argparse.Namespace) -> None:
    """Print a line per group: its kind or weakest link, and the ids."""
    from pointspider.index.calibrate import report

    index = open_index(options)
    between = tuple(options.between) if options.between else None
    found = index.duplicates(options.threshold, exact=options.exact, groups=options.groups, between=between)
    if options.csv:
        writer = csv.DictWriter(sys.stdout, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows(index, found, options.keep))
    elif options.json:
        for row in rows(index, found, options.keep):
            print(json.dumps(row, ensure_ascii=False))
    else:
        for group in found:
            label = group.kind if options.exact else f"{group.weakest:.4f}"
            print(label, *(index.store.item(int(row))["id"] for row in group.rows), sep="  ")
    clouds = len({int(row) for group in found for row in group.rows})
    print(f"{len(found)} groups of {clouds} clouds among {len(index)}", file=sys.stderr)
    if found.calibration:
        print(report(found.calibration), file=sys.stderr)
    if options.histogram:
        _plot(index, found, options.histogram)
    if options.sheet and found.groups:
        _write_sheet(index, found, options.sheet)


def rows(index: "Index", found: "Duplicates", keep: str) -> Iterator[dict[str, Any]]:
    """Yield a row per cloud of each group."""
    import numpy as np

    for number, group in enumerate(found, 1):
        kept = index.kept(group, keep)
        similarities = index.store.vectors(group.rows) @ index.store.vectors(np.array([kept]))[0]
        for row, similarity in zip(group.rows.tolist(), similarities.tolist(), strict=True):
            item = index.store.item(row)
            yield {
                "group": number,
                "kind": group.kind,
                "id": item["id"],
                "class": item["class"],
                "path": item["path"],
                "similarity_to_kept": round(min(similarity, 1.0), 6),
                "weakest": round(group.weakest, 6),
                "keep": row == kept,
            }


def _plot(index: "Index", found: "Duplicates", path: Path) -> None:
    os.environ["MPLBACKEND"] = "agg"  # that of a notebook may be missing here
    from matplotlib.figure import Figure

    from pointspider.core.files import atomic

    figure = Figure(figsize=(6, 3), layout="constrained")
    axes = figure.subplots()
    values = index.similarity_to_others()
    axes.hist(values, bins=50, color="0.6")
    axes.set_xlabel(f"similarity to the most similar other cloud ({len(values)} clouds)")
    axes.set_ylabel("clouds")
    if found.threshold is not None:
        axes.axvline(found.threshold, color="k", label=f"threshold {found.threshold:.4f}")
        axes.legend()
    with atomic(path) as temporary:
        figure.savefig(temporary, format="png", dpi=150)


def _write_sheet(index: "Index", found: "Duplicates", path: Path) -> None:
    groups = []
    for group in found.groups[:GROUPS]:
        items = [index.store.item(int(row)) for row in group.rows[:CLOUDS]]
        groups.append([(draw_points(load_item(item)), item["id"]) for item in items])
    write_sheet(path, groups)
