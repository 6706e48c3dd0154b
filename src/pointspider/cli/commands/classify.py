"""Compare clouds or pictures with the words of labels, zero-shot, with the models of an index.

Shares are printed if all labels are classes of the index: their temperature is fitted on its clouds.
"""

import argparse
import json
import sys
from typing import TYPE_CHECKING

from pointspider.cli.indices import add_index, open_index

if TYPE_CHECKING:
    from pointspider.index.results import Query


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "queries",
        nargs="+",
        metavar="CLOUD",
        help="files of clouds or pictures, or ids of clouds in the index",
    )
    parser.add_argument("--labels", required=True, help="separated by commas, such as chair,table")
    parser.add_argument("--top", type=int, default=3, help="number of labels to print (default: 3)")
    parser.add_argument("--json", action="store_true", help="a JSON object per cloud and line")
    add_index(parser)


def run(options: argparse.Namespace) -> None:
    """Print the most similar labels of each cloud with their shares, or similarities."""
    labels = [label.strip() for label in options.labels.split(",") if label.strip()]
    queries: list[Query] = list(options.queries)
    similarities, shares = open_index(options).classify(queries, labels)
    for number, query in enumerate(options.queries):
        order = (-similarities[number]).argsort(kind="stable")[: options.top]
        answers = [
            {
                "label": labels[i],
                "similarity": round(float(similarities[number, i]), 6),
                "share": None if shares is None else round(float(shares[number, i]), 6),
            }
            for i in order
        ]
        if options.json:
            print(json.dumps({"cloud": query, "answers": answers}, ensure_ascii=False))
            continue
        texts = [f"{a['label']} {a['similarity' if a['share'] is None else 'share']:.3f}" for a in answers]
        print(query, *texts, sep="  ")
    if shares is None and not options.json:
        print("similarities; shares need labels that are classes of the index", file=sys.stderr)
