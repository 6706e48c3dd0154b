"""Draw point clouds with Mitsuba, by default as in the paper: spheres on a white floor.

IN are files or directories. OUT, the last argument, is a .png for one cloud, a grid or an overlay; a .gif or
.mp4 for a movie; otherwise a directory, which mirrors the input and whose finished pictures are skipped.
"""

import argparse
from pathlib import Path

#: Default width and height in pixels by quality: the reference picture's, and the input of most CLIPs.
SIZES = {"reference": 800, "clip": 224}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("inputs", nargs="+", type=Path, metavar="IN", help="files or directories of clouds")
    parser.add_argument("output", type=Path, metavar="OUT", help=".png, .gif, .mp4 or a directory")
    read = parser.add_argument_group("input")
    read.add_argument("--format", help="the files' format, where content and extension do not tell (kitti)")
    read.add_argument("--row", type=int, help="which cloud of a file that has several (default: all)")
    read.add_argument(
        "--mesh", choices=("points", "surface"), default="points",
        help="draw a mesh as points sampled from it (default), or its surface",
    )  # fmt: skip
    read.add_argument("--mesh-points", type=int, default=2048, help="sampled from a mesh (default: 2048)")
    read.add_argument("--max-points", type=int, default=200_000, help="drawn at most (default: 200000)")
    read.add_argument(
        "--thin",
        choices=("random", "stride"),
        default="random",
        help="which ones are drawn if there are more",
    )
    colour = parser.add_argument_group("colours")
    colour.add_argument(
        "--color",
        default="file",
        help="file (its colours, else by position; default), position, normals, labels, #rrggbb or a name",
    )
    colour.add_argument(
        "--labels", help="field of the clouds, or file with a whole number per point, or directory of them"
    )
    colour.add_argument("--palette", type=Path, help='JSON with colours of labels, {"0": "#0072b2", ...}')
    colour.add_argument("--scalar", help="x, y, z, a field (intensity), or file with a number per point")
    colour.add_argument(
        "--colormap", default="viridis", help="viridis (default), magma, cividis, coolwarm, gray"
    )
    colour.add_argument("--range", nargs=2, type=float, metavar=("LOW", "HIGH"), help="ends of the colormap")
    colour.add_argument("--colorbar", action="store_true", help="add the colormap with its numbers")
    view = parser.add_argument_group("view")
    view.add_argument("--up", help="x, y, z, -x, -y or -z (default: y, mirrored in depth, as in the paper)")
    view.add_argument("--azimuth", type=float, help="degrees around the up axis (default: 45)")
    view.add_argument("--elevation", type=float, help="degrees above the horizon (default: 35.26)")
    view.add_argument("--distance", type=float, help="of the camera; the longest side is 1 (default: 4.76)")
    view.add_argument("--fov", type=float, help="field of view in degrees (default: 25)")
    view.add_argument("--orthographic", action="store_true", default=None, help="project in parallel")
    view.add_argument("--camera", type=Path, help="JSON with a camera, as --save-camera writes it")
    view.add_argument("--save-camera", type=Path, help="write the camera as JSON")
    view.add_argument(
        "--fit", choices=("each", "same"), default="each", help="scale each cloud, or all alike"
    )
    look = parser.add_argument_group("look")
    look.add_argument("--background", default="white", help="a colour, or transparent (default: white)")
    look.add_argument("--floor", choices=("on", "shadow", "off"), help="default: on if white, else shadow")
    look.add_argument("--radius", default="auto", help="of the spheres (default: auto, 0.025 at 1024 points)")
    several = parser.add_argument_group("several clouds")
    several.add_argument("--grid", help="all in one picture: ROWSxCOLUMNS, or COLUMNS")
    several.add_argument("--captions", help="below a grid's pictures: names (default), none, or a text file")
    several.add_argument("--gap", type=int, default=8, help="pixels between a grid's pictures (default: 8)")
    several.add_argument("--overlay", action="store_true", help="all in one scene, each with a colour")
    movie = parser.add_argument_group("movies")
    movie.add_argument("--turntable", action="store_true", help="turn once (the default for .gif and .mp4)")
    movie.add_argument("--poses", type=Path, help="JSON with a list of cameras, one per frame")
    movie.add_argument("--frames", type=int, default=36, help="of a turntable (default: 36)")
    movie.add_argument("--fps", type=float, default=12, help="frames per second (default: 12)")
    output = parser.add_argument_group("output")
    output.add_argument(
        "--quality", choices=SIZES, default="reference", help="to look at (default), or for CLIP"
    )
    output.add_argument("--resolution", type=int, help="pixels per side (default: 800, or 224 for clip)")
    output.add_argument(
        "--seed", type=int, default=0, help="of the noise and of all random choices (default: 0)"
    )
    output.add_argument("--variant", default="auto", help="Mitsuba's (default: the fastest that works)")
    output.add_argument("--jobs", type=int, help="processes (default: one per available CPU)")
    output.add_argument("--force", action="store_true", help="draw finished pictures of a directory again")


def run(options: argparse.Namespace) -> None:
    """Draw everything; clouds that cannot be drawn are reported at the end."""
    from pointspider.cli.drawing import draw

    if options.resolution is None:
        options.resolution = SIZES[options.quality]
    draw(options)
