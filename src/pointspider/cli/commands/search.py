"""Find the clouds of an index that are most like a cloud, a picture or words.

Build the index with `pointspider index`. Pictures and words need an index in the space of a CLIP.
"""

import argparse
import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pointspider.cli.indices import (
    add_index,
    blank,
    draw_picture,
    draw_points,
    load_item,
    open_index,
    write_sheet,
)
from pointspider.core.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from pointspider.index.index import Index
    from pointspider.index.results import Hit, Query, Result


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "queries",
        nargs="*",
        metavar="QUERY",
        help="files of clouds or pictures, or ids of clouds in the index",
    )
    parser.add_argument("--text", action="append", default=[], help="words, such as 'a round table'")
    parser.add_argument(
        "--minus", action="append", default=[], help="file, id or words that the clouds should not resemble"
    )
    parser.add_argument(
        "--verbatim", action="store_true", help="do not put words into the prompt of the index"
    )
    parser.add_argument("--weight", type=float, default=0.5, help="of what is subtracted (default: 0.5)")
    parser.add_argument(
        "--together", action="store_true", help="all queries at once, by their mean direction"
    )
    parser.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="such as class=chair; several: either",
    )
    parser.add_argument("--top", type=int, default=5, help="number of clouds (default: 5)")
    parser.add_argument("--min-similarity", type=float, help="leave out clouds with a smaller cosine")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="a JSON object per line")
    form.add_argument("--csv", action="store_true", help="CSV with a header")
    form.add_argument("--paths-only", action="store_true", help="a path per line")
    parser.add_argument("--sheet", type=Path, metavar="PNG", help="draw queries and clouds side by side")
    add_index(parser)


def run(options: argparse.Namespace) -> None:
    """Print similarity and id of each cloud, the most similar first."""
    from pointspider.index.results import Text
    from pointspider.index.searching import find_id

    queries: list[Query] = [*options.queries, *map(Text, options.text)]
    index = open_index(options)
    minus: list[Query] = [
        name if Path(name).is_file() or find_id(index.store, name) is not None else Text(name)
        for name in options.minus
    ]
    results = index.search(
        queries,
        minus=minus,
        verbatim=options.verbatim,
        weight=options.weight,
        together=options.together,
        where=parse_where(options.where),
        top=options.top,
        min_similarity=options.min_similarity,
    )
    if not options.verbatim:
        _print_prompts([*queries, *minus], index.models.description.prompt)
    _print(options, results)
    stale = sorted({hit.id for result in results for hit in result.hits if hit.stale})
    if stale:
        print(
            f"pointspider: {len(stale)} of these files changed or vanished since they were indexed, e.g. "
            f"{stale[0]}; run `pointspider index` again.",
            file=sys.stderr,
        )
    if options.sheet:
        _write_sheet(options.sheet, index, queries, results, options.together)


def parse_where(conditions: Sequence[str]) -> dict[str, list[str]]:
    """Read FIELD=VALUE conditions; values of the same field are alternatives.

    Raises:
        InputError: a condition has no "=".
    """
    where: dict[str, list[str]] = {}
    for condition in conditions:
        field, equals, value = condition.partition("=")
        if not equals:
            raise InputError(f"--where: '{condition}' is not FIELD=VALUE, such as class=chair.")
        where.setdefault(field, []).append(value)
    return where


def _print_prompts(queries: Sequence["Query"], prompt: str) -> None:
    """Say which words the CLIP reads, where they are not those of the query."""
    from pointspider.index.results import Text
    from pointspider.index.words import put_into_prompt

    for text in queries:
        if isinstance(text, Text) and (words := put_into_prompt(text, prompt)) != text:
            print(f"'{text}' is read as '{words}'; --verbatim turns this off", file=sys.stderr)


def _print(options: argparse.Namespace, results: Sequence["Result"]) -> None:
    rows = [(result.query, hit) for result in results for hit in result.hits]
    if options.json:
        for query, hit in rows:
            print(json.dumps({"query": query, **_fields(hit)}, ensure_ascii=False))
    elif options.csv:
        writer = csv.DictWriter(
            sys.stdout, ["query", "rank", "similarity", "id", "class", "path"], lineterminator="\n"
        )
        writer.writeheader()
        writer.writerows({"query": query, **_fields(hit)} for query, hit in rows)
    elif options.paths_only:
        for _, hit in rows:
            print(hit.item["path"] if "/" not in hit.item["member"] else hit.id)
    else:
        for result in results:
            if len(results) > 1:
                print(f"# {result.query}")
            for hit in result.hits:
                print(f"{hit.similarity:.3f}  {hit.id}")


def _fields(hit: "Hit") -> dict[str, Any]:
    item = hit.item
    return {
        "rank": hit.rank,
        "similarity": round(hit.similarity, 6),
        "id": hit.id,
        "class": item["class"],
        "path": item["path"],
    }


def _write_sheet(
    path: Path, index: "Index", queries: Sequence["Query"], results: Sequence["Result"], together: bool
) -> None:
    from pointspider.index.results import query_name

    rows = []
    for number, result in enumerate(results):
        shown = queries if together else [queries[number]]
        cells = [(_draw_query(index, query), f"query: {Path(query_name(query)).name}") for query in shown]
        cells += [(draw_points(load_item(hit.item)), f"{hit.similarity:.3f} {hit.id}") for hit in result.hits]
        rows.append(cells)
    write_sheet(path, rows)


def _draw_query(index: "Index", query: "Query") -> "np.ndarray":
    from pointspider.index.clouds import load_points
    from pointspider.index.results import Text
    from pointspider.index.searching import PICTURES, find_id

    if isinstance(query, Text):
        return blank()
    name = str(query)
    if (row := find_id(index.store, name)) is not None:
        return draw_points(load_item(index.store.item(row)))
    return draw_picture(name) if Path(name).suffix.lower() in PICTURES else draw_points(load_points(name))
