"""List the clouds of a finished run whose renders would look most like a cloud's."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("cloud", type=Path, help="file of a cloud, y up")
    parser.add_argument("--top", type=int, default=5, help="number of clouds (default: 5)")


def run(options: argparse.Namespace) -> None:
    """Print similarity and name of each cloud, the most similar first."""
    from pointspider.cli.collection import load_params, open_collection
    from pointspider.clouds.corruptions.engine import corrupt_clouds
    from pointspider.clouds.names import CLEAN
    from pointspider.clouds.sources.folder import load_object
    from pointspider.core.seeding import generator
    from pointspider.core.vectors import nearest

    params = load_params(options)
    pool = load_object(options.cloud, None, generator(params["seeds"]["objects"], options.cloud.name)).points
    # As many points as the collection's clouds: the maximum over points depends on their number
    seed, count = params["seeds"]["corruptions"], params["clouds"]["points"]
    cloud = corrupt_clouds(CLEAN, [pool], [None], [options.cloud.name], seed, count)[0]
    collection = open_collection(options.project, params)
    rows, similarities = nearest(collection.embed(cloud), collection.mapped, options.top)
    for row, similarity in zip(rows[0], similarities[0], strict=True):
        print(f"{similarity:.3f}  {collection.cloud_ids[row]}")
