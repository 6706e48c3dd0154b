"""Benchmark the reference procedure and ours at full size, with every Mitsuba variant that works here.

    make bench-render          # about 20 minutes on a quiet machine

Eight procedural clouds that cover between 6 and 50 % of the picture are timed after a warm-up cloud. Writes
benchmarks/out/rendering.csv and a plot, and prints the ratio of CPU times, the PSNR of the worst cloud, and
the time for ModelNet40-C's 135,740 clouds.
"""

from dataclasses import asdict
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
from pointspider.study.tables.speed import speed_measures, speed_table

OUT = Path(__file__).parent / "out"
#: The first is warm-up.
CLASSES = ("keyboard", "guitar", "airplane", "car", "plant", "sofa", "chair", "lamp", "night_stand")
POINTS = 1024
ENCODER_RESOLUTION = 224
SCALAR_CLOUDS = ("keyboard", "car")  # the scalar reference takes 90 s per cloud
THREADS = 1  # of a process, as the workflow renders: processes share cores better than threads do
ALL_CLOUDS = 135_740  # 2,468 objects of ModelNet40's test split at 55 levels


def main() -> None:
    source = ProceduralSource(ProceduralSettings(evaluation_objects=1), 1)
    clouds = {name: source.load(name, "0000").points[:POINTS] for name in CLASSES}
    variants = available_variants()
    wanted = tasks(ENCODER_RESOLUTION, RESOLUTION, SAMPLES_PER_PIXEL, seed=6)
    rows, facts = [], {}
    for name in dict.fromkeys(variant.name for variant in variants):
        drawn = np.stack([clouds[each] for each in (SCALAR_CLOUDS if name.startswith("scalar") else CLASSES)])
        own = [variant for variant in variants if variant.name == name]
        measured, device = measure(own, drawn, wanted, THREADS)
        rows += measured
        facts |= device
    records = pd.DataFrame(map(asdict, rows)).replace({"quality": {"": None}})
    measures = speed_measures(records, "paper")
    table = speed_table(measures, facts, "paper")
    write_csv(OUT / "rendering.csv", measures)
    save(plot_speed(table, measures, {"preset": "paper", "variants": facts}), OUT / "rendering.svg")
    print(table.to_string())
    cpu = measures[measures["measure"] == "cpu_seconds"]
    reference = cpu[cpu["method"] == "reference"].set_index("variant")["value"]
    for row in cpu[cpu["method"] == "ours"].to_dict("records"):
        times, hours = reference[row["variant"]] / row["value"], ALL_CLOUDS * row["value"] / 3600
        print(
            f"{row['variant']}, {row['quality']}: 1 / {times:.1f} of the reference's CPU time; "
            f"{hours:.1f} core-hours for {ALL_CLOUDS} clouds"
        )


if __name__ == "__main__":
    main()
