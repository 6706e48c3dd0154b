"""Corrupt a cloud, every cloud in a directory, or an array of clouds, as the benchmarks do."""

import argparse
import sys
from pathlib import Path
from typing import Any

from pointspider.core.errors import InputError

SIDE = 160  # pixels of a picture of --sheet


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("input", type=Path, nargs="?", help="file of a cloud or of an array; or a directory")
    parser.add_argument(
        "output", type=Path, nargs="?", help="directory; or, for one cloud at one severity, a file"
    )
    parser.add_argument(
        "--corruption",
        default="all",
        help="names, separated by commas (a+b: a, then b); modelnet40-c, pointcloud-c or all (default)",
    )
    parser.add_argument("--severity", default="1-5", help="such as 3, 1,3,5 or 1-5 (default: 1-5)")
    parser.add_argument("--seed", type=int, default=0, help="of the random draws (default: 0)")
    parser.add_argument(
        "--points",
        default="keep",
        help="per cloud: keep what is left (default), same as the input, or a number",
    )
    parser.add_argument(
        "--frame",
        choices=["normalize", "keep"],
        default="normalize",
        help="of the results: the benchmark's (default), or that of the input",
    )
    parser.add_argument(
        "--layout",
        choices=["folder", "modelnet40-c", "pointcloud-c"],
        default="folder",
        help="of the output: as the input (default), or as the loaders of a benchmark read it",
    )
    parser.add_argument("--format", help="of the input, where content and extension do not tell (kitti)")
    parser.add_argument(
        "--write", choices=["npy", "npz", "ply"], help="of layout folder (default: npy; ply with attributes)"
    )
    parser.add_argument(
        "--only", action="append", default=[], metavar="CLOUD", help="a cloud of the input; repeat"
    )
    parser.add_argument("--force", action="store_true", help="write files that exist")
    parser.add_argument("--processes", type=int, help="at the same time (default: one per available CPU)")
    parser.add_argument(
        "--list", action="store_true", help="list the corruptions, with constants and sources"
    )
    parser.add_argument("--sheet", type=Path, metavar="PNG", help="draw the input at every severity instead")


def run(options: argparse.Namespace) -> None:
    """Corrupt, or list or draw the corruptions."""
    if options.list:
        _list()
    elif options.input is None or (options.output is None and options.sheet is None):
        raise InputError("give an input and an output, or --list.")
    elif options.sheet is not None:
        _draw_sheet(options)
    else:
        _export(options)


def _list() -> None:
    from pointspider.clouds.corruptions.registry import CORRUPTIONS

    for benchmark in dict.fromkeys(corruption.benchmark for corruption in CORRUPTIONS.values()):
        corruptions = {name: each for name, each in CORRUPTIONS.items() if each.benchmark == benchmark}
        print(f"{benchmark}: {next(iter(corruptions.values())).source}")
        for name, corruption in corruptions.items():
            constants = ", ".join(f"{constant:.4g}" for constant in corruption.constants)
            mesh = " Needs a mesh." if corruption.needs_mesh else ""
            print(f"  {name:27s} {corruption.description}{mesh} Severities: {constants}")


def _export(options: argparse.Namespace) -> None:
    from pointspider.clouds.export.clouds import Export
    from pointspider.clouds.export.items import select_levels
    from pointspider.clouds.export.run import export
    from pointspider.core.cpus import available_cpus

    settings = Export(
        levels=select_levels(options.corruption, _severities(options.severity)),
        seed=_at_least(options.seed, 0, "--seed"),
        points=_points(options.points),
        frame=options.frame,
        layout=options.layout,
        extension=f".{options.write}" if options.write else "",
        format=options.format,
    )
    processes = _at_least(options.processes or available_cpus(), 1, "--processes")
    skipped = export(
        options.input, options.output, settings, only=options.only, force=options.force, processes=processes
    )
    if skipped:
        raise InputError(f"{skipped} results are missing; {options.output}/manifest.json says why.")


def _draw_sheet(options: argparse.Namespace) -> None:
    """Draw a picture per corruption and severity; without a mesh, those that need one are left out."""
    import numpy as np
    from tqdm import tqdm

    from pointspider.cli.inputs import check_output
    from pointspider.clouds.corruptions.engine import corrupt
    from pointspider.clouds.corruptions.registry import CORRUPTIONS
    from pointspider.clouds.export.items import list_items, load_item, select_levels
    from pointspider.core.files import write_png
    from pointspider.render.draw import draw
    from pointspider.render.sheet import grid

    if options.sheet.suffix.lower() != ".png":
        raise InputError(f"{options.sheet}: pictures are PNG; name it {options.sheet.with_suffix('.png')}.")
    check_output(options.sheet, directory=False)
    items = list_items(options.input, options.only, options.format)
    if len(items) != 1:
        raise InputError(f"{options.input}: has {len(items)} clouds; name one with --only.")
    cloud, _ = load_item(items[0], options.seed)
    severities = _severities(options.severity)
    chosen = dict.fromkeys(name for name, _ in select_levels(options.corruption, severities))
    names = [n for n in chosen if cloud.mesh or not any(CORRUPTIONS[p].needs_mesh for p in n.split("+"))]
    blocks = max(1, 12 // len(severities))  # corruptions side by side
    names += [""] * (-len(names) % blocks if len(names) > blocks else 0)
    rows = [names[start : start + blocks] for start in range(0, len(names), blocks)]
    places = [(name, severity) for row in rows for name in row for severity in severities]

    def picture(name: str, severity: int) -> Any:
        if not name:
            return np.full((SIDE, SIDE, 4), 255, np.uint8)
        points, _ = corrupt(cloud.points, name, severity, options.seed, mesh=cloud.mesh, key=items[0].key)
        return draw(points.astype(np.float32), resolution=SIDE, quality="clip", seed=options.seed)

    pictures = [picture(*place) for place in tqdm(places, desc="draw", unit="picture", disable=None)]
    captions = [f"{name} {severity}" if name else "" for name, severity in places]
    sheet = grid(pictures, len(severities) * min(blocks, len(names)), captions)
    write_png(options.sheet, sheet[..., :3])
    print(options.sheet, file=sys.stderr)


def _severities(text: str) -> list[int]:
    try:
        found: list[int] = []
        for part in text.split(","):
            first, _, last = part.partition("-")
            found += range(int(first), int(last or first) + 1)
    except ValueError as error:
        raise InputError(f"--severity: '{text}'; give 3, 1,3,5 or 1-5.") from error
    if not found:
        raise InputError(f"--severity: '{text}' is empty.")
    return found


def _points(text: str) -> Any:
    if text in ("keep", "same"):
        return text
    if not text.isdecimal() or int(text) < 1:
        raise InputError(f"--points: '{text}'; give keep, same, or a number from 1.")
    return int(text)


def _at_least(value: int, least: int, name: str) -> int:
    if value < least:
        raise InputError(f"{name}: {value}; give {least} or more.")
    return value
