"""Render clouds; search and de-duplicate those of a finished run in the image space, without rendering."""

import argparse
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pointspider.clouds.corruptions.modelnet40c import corrupt
from pointspider.clouds.names import CLEAN
from pointspider.clouds.sources.folder import EXTENSIONS, load_object
from pointspider.core.cpus import available_cpus
from pointspider.core.errors import InputError
from pointspider.core.files import read_hdf5, read_json
from pointspider.core.seeding import generator
from pointspider.core.vectors import nearest
from pointspider.index.search import duplicates
from pointspider.study.config import load
from pointspider.study.remote import read_remotes

SIZES = {"reference": 800, "clip": 224}  # pixels per side by quality: the reference's, most CLIPs'


def main(arguments: list[str] | None = None) -> None:
    """Run a command; bad input ends it with one line and exit code 1, a closed pipe without any."""
    parser = argparse.ArgumentParser(prog="pointspider", description=__doc__)
    parser.add_argument("--configfile", type=Path, help="a preset of one's own, as given to snakemake")
    parser.add_argument(
        "--project", type=Path, default=Path(), help="the checkout, with params.yaml and results/"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("search", help="the clouds whose renders would look most like a cloud's")
    command.add_argument("cloud", type=Path, help=".npy, .ply, .off or .h5, y up")
    command.add_argument("--top", type=int, default=5, help="how many (default: 5)")
    command.set_defaults(run=_search)
    command = commands.add_parser("duplicates", help="groups of clouds whose renders would look alike")
    command.add_argument("--threshold", type=float, default=0.99, help="cosine similarity (default: 0.99)")
    command.set_defaults(run=_duplicates)
    command = commands.add_parser("render", help="pictures of clouds, as the paper's procedure draws them")
    command.add_argument("cloud", type=Path, help=".npy, .ply, .off or .h5, y up; or a directory of them")
    command.add_argument("picture", type=Path, help=".png; or a directory, which mirrors the clouds'")
    command.add_argument(
        "--quality", choices=SIZES, default="reference", help="to look at (default), or as CLIP takes it"
    )
    command.add_argument("--resolution", type=int, help="pixels per side (default: 800, or 224 for clip)")
    command.set_defaults(run=_render)
    options = parser.parse_args(arguments)
    try:
        options.run(options)
        sys.stdout.flush()  # a closed pipe is told here, not while Python shuts down
    except InputError as error:
        sys.exit(f"pointspider: {error}")
    except BrokenPipeError:
        # Whoever read has enough. Python flushes once more at its end, and that must not fail (Python's
        # documentation of `signal`, "Note on SIGPIPE").
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _search(options: argparse.Namespace) -> None:
    params = _load_params(options)
    pool, _ = load_object(options.cloud, None, generator(params["seeds"]["objects"], options.cloud.name))
    # As many points as the collection's clouds have: the encoder's maximum depends on their number.
    seed, count = params["seeds"]["corruptions"], params["clouds"]["points"]
    cloud = corrupt(CLEAN, [pool], [None], [options.cloud.name], seed, count)[0]
    collection = open_collection(options.project, params)
    rows, similarities = nearest(collection.embed(cloud), collection.mapped, options.top)
    for row, similarity in zip(rows[0], similarities[0], strict=True):
        print(f"{similarity:.3f}  {collection.cloud_ids[row]}")


def _duplicates(options: argparse.Namespace) -> None:
    collection = open_collection(options.project, _load_params(options))
    groups = duplicates(collection.mapped, options.threshold)
    for group in groups:
        print("  ".join(collection.cloud_ids[row] for row in group))
    print(f"{len(groups)} groups among {len(collection.cloud_ids)} clouds", file=sys.stderr)


def _render(options: argparse.Namespace) -> None:
    from pointspider.render.backends import activate, choose
    from pointspider.render.renderer import Renderer, RenderSettings, write_renders

    files = _pictures(options.cloud, options.picture)
    settings = RenderSettings(options.resolution or SIZES[options.quality], options.quality)
    activate(choose(), available_cpus())
    write_renders(Renderer(settings), _load_clouds(files), len(files))


def _pictures(cloud: Path, picture: Path) -> dict[Path, Path]:
    """{cloud's file: its picture's}, of one file or of all below a directory."""
    if not cloud.is_dir():
        if picture.suffix.lower() != ".png":
            raise InputError(f"{picture}: pictures are PNG; name it {picture.with_suffix('.png')}.")
        return {cloud: picture}
    found = sorted(path for path in cloud.rglob("*") if path.suffix.lower() in EXTENSIONS)
    if not found:
        raise InputError(f"{cloud}: has no clouds; they are {', '.join(EXTENSIONS)}.")
    pictures = {path: picture / path.relative_to(cloud).with_suffix(".png") for path in found}
    if len(set(pictures.values())) < len(pictures):
        raise InputError(f"{cloud}: clouds differ in nothing but their extension; rename some.")
    return pictures


def _load_clouds(files: dict[Path, Path]) -> Iterator[tuple[str, np.ndarray, Path]]:
    """Name, points and picture's file of each, read when its turn comes."""
    for path, picture in files.items():
        yield str(path), load_object(path, None, generator(0, path.name))[0], picture


def _load_params(options: argparse.Namespace) -> dict:
    paths = [options.project / "params.yaml", *([options.configfile] if options.configfile else [])]
    return load(paths).model_dump()


@dataclass(frozen=True)
class Collection:
    """The clouds of a finished run, taken to the image space by the selected mapper.

    Attributes:
        cloud_ids: (n,) names.
        mapped: (n, D) float32, the mapper's outputs.
        encoder: the PointNet; mapper: the mapper.
    """

    cloud_ids: list[str]
    mapped: np.ndarray
    encoder: object
    mapper: object

    def embed(self, points: np.ndarray) -> np.ndarray:
        """A cloud (N, 3) float32 to the image space, (1, D) float32."""
        from pointspider.encoders.points.inference import embed_clouds

        return self.mapper.predict(embed_clouds(self.encoder, points[None]))


def open_collection(project: Path, params: dict) -> Collection:
    """Load the clouds' embeddings, the point encoder and the mapper that `mapper.norm` selects (first seed).

    Args:
        project: the checkout.
        params: resolved parameters.

    Raises:
        InputError: the run is not finished, its mapper diverged, or one of its files is broken.
    """
    from pointspider.encoders.points.registry import load_point_encoder
    from pointspider.mappers.base import load_predictor

    results = project / "results" / params["preset"]
    points = params["encoders"]["points"]
    checkpoint = results / "encoders" / points["name"] / "model.safetensors"
    if points["checkpoint"] != "train":
        remote = read_remotes(project / "data/sources.csv").get(points["checkpoint"])
        checkpoint = project / (remote.place if remote else points["checkpoint"])
    seed = params["mapper"]["seeds"][0]
    paths = sorted((results / "embeddings/points").glob("*.h5"))
    if not paths:
        raise InputError(f"{results}: holds no embeddings; run `snakemake --cores all` first.")
    mappers = results / "mappers/objects" / params["mapper"]["norm"]
    run = next((run for run in read_json(mappers / "runs.json") if run["seed"] == seed), {})
    if epoch := run.get("diverged_at"):  # its weights may well be finite
        raise InputError(
            f"{mappers}: the mapper of seed {seed} diverged at epoch {epoch}; choose another mapper.norm or "
            "lower mapper.learning_rate."
        )
    groups = [group.arrays for path in paths for group in read_hdf5(path).values()]
    mapper = load_predictor(mappers / f"seed_{seed}_last.safetensors")
    return Collection(
        cloud_ids=[identity for arrays in groups for identity in arrays["cloud_id"]],
        mapped=mapper.predict(np.concatenate([arrays["global"] for arrays in groups])),
        encoder=load_point_encoder(points["name"], checkpoint),
        mapper=mapper,
    )
