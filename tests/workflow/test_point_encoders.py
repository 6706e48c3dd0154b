"""Runs with an encoder in the space of a CLIP, and with a fine-tuned mapper on another domain."""

import json
import re
import shutil
import sys
from collections.abc import Callable

import pandas as pd
import pytest
import torch
import yaml

from pointspider.core.files import read_json
from pointspider.encoders.points.architectures.openshape_vitb32 import OpenShapeB32
from pointspider.encoders.points.architectures.openshape_vitl14 import Sizes
from pointspider.encoders.points.registry import save_point_encoder
from pointspider.study.tables.schemas import read_table

pytestmark = [pytest.mark.workflow, pytest.mark.slow]
RESULTS = "results/embedded"
CLIP = "tiny-clip-patch8"
NORMS = ["none", "layer", "response"]


@pytest.fixture
def pointspider(finished_copy) -> Callable[..., str]:
    """A function that runs the command in the project and returns what it prints."""
    main = "import sys; from pointspider.cli.main import main; main(sys.argv[1:])"
    return lambda *arguments: finished_copy.run(sys.executable, "-c", main, *arguments).stdout


def test_an_encoder_in_the_space_of_a_clip_needs_no_mapper(finished_copy, pointspider):
    """Rows in Tables II and III, and search by words. The encoder is a tiny OpenShape with random weights."""
    torch.manual_seed(0)
    encoder = OpenShapeB32(Sizes(width=16, hidden=24, blocks=2), width=64).eval()
    encoder.space = CLIP
    save_point_encoder(finished_copy.directory / "openshape.safetensors", "openshape_vitb32", encoder)
    points = {"name": "openshape_vitb32", "checkpoint": "openshape.safetensors"}
    target = {"model": CLIP, "layer": "projected"}
    finished_copy.change(
        {"presets.embedded.encoders.points": points, "presets.embedded.alignment.image_embedding": target}
    )
    plan = finished_copy.planned()
    assert {"embed_points", "train_mapper", "tabulate_zero_shot"} <= set(plan)
    assert not {"render_class", "train_points", "train_clip", "embed_images"} & set(plan)
    finished_copy.snakemake()
    results = finished_copy.directory / RESULTS

    second = read_table(results / "tables/table2.csv").set_index("model")
    assert set(second.index) == {CLIP, "tiny-clip-patch16", "openshape_vitb32"}
    assert second.loc["openshape_vitb32", ["top1", "top3"]].between(0, 1).all()
    made = read_json(results / "tables/table2.json")
    assert (made["cloud_encoder"], made["cloud_clip"]) == ("openshape_vitb32", CLIP)
    alignment = read_table(results / "tables/alignment.csv")
    of_encoder = alignment[(alignment["split"] == "objects") & (alignment["predictor"] == "encoder")]
    assert {"image_r10", "cloud_r10", "top1"} <= set(of_encoder["measure"])
    assert not {"l1", "skill"} & set(of_encoder["measure"])
    assert {"BASE", "LNORM", "RNORM", "ridge"} <= set(alignment["predictor"])
    assert "encoder" in set(read_table(results / "mappers/choice.csv")["predictor"])
    assert read_json(results / "metrics.json")["mapper"] == "LNORM"
    assert "openshape_vitb32" in (results / "tables/summary.md").read_text()

    built = pointspider("index", "--from-run", "embedded", "--predictor", "encoder", "-o", "run.index")
    assert f"projected layer of {CLIP}" in built
    found = pointspider("search", "--text", "chair", "-i", "run.index", "--top", "3", "--json")
    hits = [json.loads(line) for line in found.splitlines() if line.startswith("{")]
    assert [hit["rank"] for hit in hits] == [1, 2, 3]
    pointspider(
        "index", "--from-run", "embedded", "-o", "chosen.index"
    )  # by the predictor that the run chose


def test_the_example_of_fine_tuning_on_road_objects(finished_copy, root):
    """The YAML of docs/domains.md with fewer clouds. The first mappers are those of the finished project."""
    example = re.search(r"```yaml\n(.*?)```", (root / "docs/domains.md").read_text(), re.DOTALL)[1]
    config = yaml.safe_load(example)
    preset = config["presets"]["embedded"]
    preset["clouds"] |= {"evaluation_objects": 4, "encoder_objects": 2, "classes": "all"}
    preset["alignment"] = {"split": {"train": 12, "test": 8}, "held_out_classes": 2}
    (finished_copy.directory / "road.yaml").write_text(yaml.safe_dump(config))
    results, mappers = finished_copy.directory / RESULTS, finished_copy.directory / "my_mappers"
    mappers.mkdir()
    for norm in NORMS:
        shutil.copy(
            results / f"mappers/objects/{norm}/seed_0_last.safetensors", mappers / f"{norm}.safetensors"
        )
    finished_copy.snakemake("--configfile", "road.yaml")

    assert {path.name for path in (results / "renders").iterdir()} >= {"car", "pole"}
    init = config["mapper"]["init"]
    for norm in NORMS:
        runs = read_json(results / f"mappers/objects/{norm}/runs.json")
        assert {run["init"] for run in runs} == {init.replace("{norm}", norm)}
    assert read_json(results / "tables/table3.json")["mapper_init"] == init
    assert read_json(results / "metrics.json")["mapper_init"] == init.replace("{norm}", "layer")
    assert set(pd.read_csv(results / "manifests/alignment.csv")["class"]) <= {
        "barrier", "car", "cone", "pedestrian", "pole"
    }  # fmt: skip
