"""List groups of clouds of a finished run whose renders would look alike."""

import argparse
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--threshold", type=float, default=0.99, help="cosine similarity (default: 0.99)")


def run(options: argparse.Namespace) -> None:
    """Print the names of each group on a line."""
    from pointspider.cli.collection import load_params, open_collection
    from pointspider.index.search import duplicates

    collection = open_collection(options.project, load_params(options))
    groups = duplicates(collection.mapped, options.threshold)
    for group in groups:
        print("  ".join(collection.cloud_ids[row] for row in group))
    print(f"{len(groups)} groups among {len(collection.cloud_ids)} clouds", file=sys.stderr)
