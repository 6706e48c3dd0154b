"""Benchmark the reference procedure and ours at full size, with every Mitsuba variant that works here.

    make bench-render          # about 12 minutes on 2 quiet cores

Eight procedural clouds that cover between 6 and 50 % of the picture are timed after a warm-up cloud. Writes
benchmarks/out/rendering.csv and a plot, and prints the ratio of CPU times, the PSNR of the worst cloud, and
the time for ModelNet40-C's 135,740 clouds.
"""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd

from pointspider.clouds.sources.procedural.source import ProceduralSettings, ProceduralSource
from pointspider.core.files import write_csv
from pointspider.render.backends import available_variants
from pointspider.render.reference import RESOLUTION, SAMPLES_PER_PIXEL
from pointspider.study.plots.speed import plot_speed
from pointspider.study.plots.style import save
from pointspider.study.speed import measure, tasks
from pointspider.study.tables.speed import speed_table

OUT = Path(__file__).parent / "out"
#: The first is warm-up.
CLASSES = ("keyboard", "guitar", "airplane", "car", "plant", "sofa", "chair", "lamp", "night_stand")
POINTS = 1024
ENCODER_RESOLUTION = 224
SCALAR_CLOUDS = ("keyboard", "car")  # the scalar reference takes 90 s per cloud
THREADS = 2
ALL_CLOUDS = 135_740  # 2,468 objects of ModelNet40's test split at 55 levels
COLUMNS = {
    "variant": "variant", "method": "method", "quality": "quality", "resolution": "resolution",
    "samples_per_pixel": "spp", "clouds": "clouds", "points_per_second": "points_per_second",
    "first_image_seconds": "first_image_seconds", "cpu_seconds_per_cloud": "cpu_seconds_per_cloud",
    "psnr_db": "psnr_db", "mean_abs_error": "mean_abs_error", "device": "device",
}  # fmt: skip


PRINTED = (
    "variant", "method", "quality", "first_image_seconds", "points_per_second", "cpu_seconds_per_cloud",
    "cpu_ratio", "psnr_db", "worst_psnr_db", "psnr_to_reference_db", "mean_abs_error",
)  # fmt: skip


def main() -> None:
    source = ProceduralSource(ProceduralSettings(evaluation_objects=1), 1)
    clouds = {name: source.load(name, "0000").points[:POINTS] for name in CLASSES}
    variants = available_variants()
    wanted = tasks(ENCODER_RESOLUTION, RESOLUTION, SAMPLES_PER_PIXEL, seed=6)
    rows = []
    for name in dict.fromkeys(variant.name for variant in variants):
        drawn = np.stack([clouds[each] for each in (SCALAR_CLOUDS if name.startswith("scalar") else CLASSES)])
        rows += measure([variant for variant in variants if variant.name == name], drawn, wanted, THREADS)
    frame = pd.DataFrame([asdict(replace(row, device=row.device or row.reason)) for row in rows])
    write_csv(OUT / "rendering.csv", frame[list(COLUMNS)].rename(columns=COLUMNS))
    save(plot_speed(speed_table(frame, "paper", "procedural", seed=6)), OUT / "rendering")
    print(frame.assign(cpu_ratio=_cpu_ratio(frame))[[*PRINTED]].to_string())
    for row in rows:
        if row.quality == "clip" and row.pictures:
            hours = ALL_CLOUDS * row.cpu_seconds_per_cloud / 3600
            print(f"{ALL_CLOUDS} clouds at clip quality, {row.variant}: {hours:.1f} core-hours")


def _cpu_ratio(frame: pd.DataFrame) -> pd.Series:
    """Return the CPU time of the reference divided by that of the row."""
    reference = frame[frame["method"] == "reference"].set_index("variant")["cpu_seconds_per_cloud"]
    return frame["variant"].map(reference) / frame["cpu_seconds_per_cloud"]


if __name__ == "__main__":
    main()
