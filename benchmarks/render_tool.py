"""Time `pointspider render` and other ways to draw a cloud, each in a process of its own.

    pip install --group bench
    python benchmarks/render_tool.py [single] [batch] [others] [--clouds 100]

Prints a table of wall and CPU seconds and memory, and writes benchmarks/out/render_tool.csv; the rows of
parts that are not measured stay. `others` also draws the pictures side by side: docs/render/compare.png.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from pointspider.clouds.sources.procedural.source import ProceduralSettings, ProceduralSource
from pointspider.core.cpus import available_cpus
from pointspider.core.files import read_png, write_csv
from pointspider.render.sheet import grid

OUT = Path(__file__).parent / "out"
PICTURE = Path(__file__).parents[1] / "docs/render/compare.png"
MANY = OUT / "clouds"
CLOUD = MANY / "0.npy"
SIDE = 800

TOOL = "from pointspider.cli.main import main; main()"
TOOL_ON_ONE_CPU = f"import os; os.sched_setaffinity(0, {{0}}); {TOOL}"
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
WORKFLOW = """
import sys, numpy as np
from pathlib import Path
from pointspider.core.files import write_png
from pointspider.render.backends import activate, choose
from pointspider.render.renderer import Renderer, write_renders
from pointspider.render.settings import RenderSettings
files, part, of = sorted(Path(sys.argv[1]).glob("*.npy")), int(sys.argv[2]), int(sys.argv[3])
files = files[part::of]
activate(choose(), 1)
clouds = ((file.stem, np.load(file)) for file in files)
write = lambda name, image: write_png(Path(sys.argv[4]) / f"{name}.png", image)
write_renders(Renderer(RenderSettings(224)), clouds, len(files), write)
"""
PYVISTA = """
import sys, numpy as np, pyvista
from pointspider.render.scene import Camera, place, to_srgb
spheres, camera, side = place(np.load(sys.argv[1])), Camera(), int(sys.argv[3])
size = spheres.radius / camera.distance / camera.half_width * side  # a diameter, in pixels
plotter = pyvista.Plotter(off_screen=True, window_size=[side, side])
plotter.add_points(spheres.centres, scalars=to_srgb(spheres.colours), rgb=True, point_size=size,
                   render_points_as_spheres=True)
plotter.set_background('white')
plotter.camera_position = [camera.origin.tolist(), (0, 0, 0), (0, 0, 1)]
plotter.camera.view_angle = camera.fov
plotter.screenshot(sys.argv[2])
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=list(PARTS), metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--clouds", type=int, default=100, help="drawn as a batch")
    options = parser.parse_args()
    OUT.mkdir(exist_ok=True)
    write_clouds(options.clouds)
    table = OUT / "render_tool.csv"
    known = pd.read_csv(table) if table.exists() else pd.DataFrame(columns=["way"])
    rows = pd.DataFrame([row for part in options.parts for row in PARTS[part]()])
    frame = pd.concat([known[~known["way"].isin(rows["way"])], rows])
    write_csv(table, frame)
    print(rows.to_string(index=False, float_format="{:.2f}".format))


def write_clouds(count: int) -> None:
    """Write chairs of 1,024 points, and a piano of 100,000 and of 10,000,000."""
    MANY.mkdir(exist_ok=True)
    source = ProceduralSource(ProceduralSettings(evaluation_objects=count), seed=1)
    for number in range(count):
        if not (MANY / f"{number}.npy").exists():
            np.save(MANY / f"{number}.npy", source.load("chair", f"{number:04d}").points[:1024])
    mesh = source.load("piano", "0000").mesh
    assert mesh
    for name, size in (("large", 100_000), ("huge", 10_000_000)):
        if not (OUT / f"{name}.npy").exists():
            points = mesh.sample(size, np.random.default_rng(0)).astype(np.float32)
            np.save(OUT / f"{name}.npy", points)


def tool(name: str, *arguments: object) -> dict[str, object]:
    """Measure `pointspider render`."""
    return measure(name, TOOL, "render", *arguments, "--force")


def reference(name: str, picture: Path, samples: int) -> dict[str, object]:
    """Measure Mitsuba's path tracer with one sphere shape per point."""
    return measure(name, REFERENCE, CLOUD, picture, SIDE, samples)


def single() -> list[dict[str, object]]:
    """One cloud, from the shell and in a warm process."""
    for quality in ("clip", "reference"):
        tool("warm-up", CLOUD, OUT / "warm.png", "--quality", quality)
    return [
        tool("pointspider render, clip, 224²", CLOUD, OUT / "clip.png", "--quality", "clip"),
        tool("pointspider render, 800²", CLOUD, OUT / "ours.png"),
        measure("draw, warm process, clip, 224²", WARM, CLOUD, 224, "clip"),
        measure("draw, warm process, 800²", WARM, CLOUD, SIDE, "reference"),
        tool("pointspider render, 100,000 points, 800²", OUT / "large.npy", OUT / "large.png"),
        tool("pointspider render, 10,000,000 points, 800²", OUT / "huge.npy", OUT / "huge.png"),
    ]


def batch() -> list[dict[str, object]]:
    """Many clouds: by one process on one CPU and on all, by a process per CPU, and by the workflow's jobs."""
    arguments = ("render", MANY, OUT / "one", "--quality", "clip", "--force", "--jobs", 1)
    single = measure("batch, one process on one CPU", TOOL_ON_ONE_CPU, *arguments)
    threads = measure("batch, one process, its threads on all CPUs", TOOL, *arguments)
    every = tool("batch, a process per CPU", MANY, OUT / "all", "--quality", "clip")
    cpus = available_cpus()
    start = time.perf_counter()
    jobs = [
        subprocess.Popen(
            [sys.executable, "-c", WORKFLOW, str(MANY), str(part), str(cpus), str(OUT / "workflow")]
        )
        for part in range(cpus)
    ]
    for job in jobs:
        job.wait()
    wall = time.perf_counter() - start
    print(f"a process per CPU is {single['wall_s'] / every['wall_s']:.2f} x as fast as one CPU, "
          f"{threads['wall_s'] / every['wall_s']:.2f} x as fast as threads, and "
          f"{wall / every['wall_s']:.2f} x as fast as the workflow's jobs")  # fmt: skip
    return [single, threads, every, {"way": "batch, the workflow's jobs", "wall_s": wall}]


def others() -> list[dict[str, object]]:
    """PointVisualizaiton's procedure, Mitsuba's path tracer with as many samples as ours, and pyvista."""
    rows = [
        tool("pointspider render, 800²", CLOUD, OUT / "ours.png"),
        measure("pyvista, 800²", PYVISTA, CLOUD, OUT / "pyvista.png", SIDE),
        measure(
            "Mitsuba, a sphere per point, 64 samples, 800²", REFERENCE, CLOUD, OUT / "stock.png", SIDE, 64
        ),
        measure("PointVisualizaiton's procedure, 800²", REFERENCE, CLOUD, OUT / "reference.png", SIDE, 256),
    ]
    captions = {
        "ours": "pointspider render",
        "reference": "PointVisualizaiton's procedure",
        "stock": "Mitsuba's path tracer, 64 samples",
        "pyvista": "pyvista",
    }
    pictures = [read_png(OUT / f"{name}.png")[30:630, 100:700] for name in captions]
    reduced = [np.asarray(Image.fromarray(picture).resize((300, 300))) for picture in pictures]
    opaque = [np.dstack([picture, np.full((300, 300), 255, np.uint8)]) for picture in reduced]
    sheet = Image.fromarray(grid(opaque, 4, list(captions.values()))[..., :3])
    sheet.save(PICTURE, optimize=True)
    return rows


PARTS = {"single": single, "batch": batch, "others": others}


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
