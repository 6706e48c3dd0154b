"""Time `pointspider render` and other ways to draw a cloud, each in a process of its own.

    python benchmarks/render_tool.py [--clouds 40] [--reference-samples 256]

Needs pyvista for the rasteriser's row. Prints a table of wall and CPU seconds and memory, and writes
benchmarks/out/render_tool.csv and, side by side, the pictures: docs/render/compare.png.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

from pointspider.clouds.sources.procedural.source import ProceduralSettings, ProceduralSource
from pointspider.core.files import read_png, write_csv, write_png
from pointspider.render.sheet import grid

OUT = Path(__file__).parent / "out"
PICTURE = Path(__file__).parents[1] / "docs/render/compare.png"
SIDE = 800

TOOL = "from pointspider.cli.main import main; main()"
WARM = """
import sys, time, numpy as np, pointspider
points = np.load(sys.argv[1]); size, quality = int(sys.argv[2]), sys.argv[3]
pointspider.draw(points, resolution=size, quality=quality)
start, cpu = time.perf_counter(), time.process_time()
for _ in range(3): pointspider.draw(points, resolution=size, quality=quality)
print((time.perf_counter() - start) / 3, (time.process_time() - cpu) / 3)
"""
REFERENCE = """
import sys, numpy as np
from pointspider.core.cpus import available_cpus
from pointspider.core.files import write_png
from pointspider.render.backends import activate, choose
from pointspider.render.reference import render_reference
activate(choose(), available_cpus())
write_png(sys.argv[2], render_reference(np.load(sys.argv[1]), int(sys.argv[3]), int(sys.argv[4])))
"""
PYVISTA = """
import sys, numpy as np, pyvista
points = np.load(sys.argv[1])
plotter = pyvista.Plotter(off_screen=True, window_size=[int(sys.argv[3])] * 2)
plotter.add_points(
    points, render_points_as_spheres=True, point_size=int(sys.argv[3]) // 50,
    scalars=((points - points.min(0)) / np.ptp(points, axis=0).max() * 255).astype('uint8'), rgb=True)
plotter.set_background('white')
plotter.camera_position = [(3, 2.4, -3), (0, 0, 0), (0, 1, 0)]
plotter.screenshot(sys.argv[2])
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clouds", type=int, default=40, help="drawn as a batch")
    parser.add_argument("--reference-samples", type=int, default=256, help="per pixel; 256 in the paper")
    options = parser.parse_args()
    OUT.mkdir(exist_ok=True)
    many = OUT / "clouds"
    many.mkdir(exist_ok=True)
    source = ProceduralSource(ProceduralSettings(evaluation_objects=options.clouds), seed=1)
    for number in range(options.clouds):
        np.save(many / f"{number}.npy", source.load("chair", f"{number:04d}").points[:1024])
    cloud, large = many / "0.npy", OUT / "large.npy"
    mesh = source.load("piano", "0000").mesh
    assert mesh
    np.save(large, mesh.sample(100_000, np.random.default_rng(0)).astype(np.float32))

    def tool(name: str, *arguments: object) -> dict[str, object]:
        return measure(name, TOOL, "render", *arguments, "--force")

    tool("warm-up", cloud, OUT / "ours.png")
    tool("warm-up", cloud, OUT / "clip.png", "--quality", "clip")
    rows = [
        tool("pointspider render, clip, 224²", cloud, OUT / "clip.png", "--quality", "clip"),
        tool("pointspider render, 800²", cloud, OUT / "ours.png"),
        tool("pointspider render, 100,000 points, 800²", large, OUT / "large.png"),
        tool("batch, one process", many, OUT / "one", "--quality", "clip", "--jobs", 1),
        tool("batch, a process per CPU", many, OUT / "all", "--quality", "clip"),
        measure("draw, warm process, clip, 224²", WARM, cloud, 224, "clip"),
        measure("draw, warm process, 800²", WARM, cloud, SIDE, "reference"),
        measure("pyvista, 800²", PYVISTA, cloud, OUT / "pyvista.png", SIDE),
        measure(
            "PointVisualizaiton's procedure, 800²", REFERENCE, cloud, OUT / "reference.png", SIDE,
            options.reference_samples,
        ),
    ]  # fmt: skip
    frame = pd.DataFrame(rows)
    write_csv(OUT / "render_tool.csv", frame)
    print(frame.to_string(index=False, float_format="{:.2f}".format))
    print(f"a process per CPU is {rows[3]['wall_s'] / rows[4]['wall_s']:.2f} x as fast as one")
    pictures = [read_png(OUT / f"{name}.png")[::2, ::2] for name in ("ours", "reference", "pyvista")]
    opaque = [np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)]) for picture in pictures]
    captions = ["pointspider render", "PointVisualizaiton's procedure", "pyvista"]
    write_png(PICTURE, grid(opaque, 3, captions)[..., :3])


def measure(name: str, code: str, *arguments: object) -> dict[str, object]:
    """Run Python code in a child; return its wall and CPU seconds and largest memory.

    What it prints replaces the seconds: those of a part of it.
    """
    start = time.perf_counter()
    child = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout
    printed = child.stdout.read().split()
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        raise RuntimeError(f"{name} failed")
    wall, cpu = time.perf_counter() - start, usage.ru_utime + usage.ru_stime
    if printed:
        wall, cpu = map(float, printed)
    return {"way": name, "wall_s": wall, "cpu_s": cpu, "mib": usage.ru_maxrss / 1024}


if __name__ == "__main__":
    main()
