"""Point encoders in the space of a CLIP: which runs accept them, and what they are measured by."""

import numpy as np
import pandas as pd
import pytest

from pointspider.core.errors import InputError
from pointspider.study.config import resolve, shared_space
from pointspider.study.embeddings import write_embeddings, write_prompts
from pointspider.study.evaluate.alignment import OBJECT, Clouds, ImageSpace, evaluate
from pointspider.study.evaluate.candidates import references
from pointspider.study.evaluate.zero_shot import cloud_hits
from pointspider.study.tables.choice import choose

B32 = "openai/clip-vit-base-patch32"


def resolved(params, checkpoint="model.pt", layer="projected", weights=B32):
    embedded = params["presets"]["embedded"]
    embedded["encoders"]["points"] |= {"name": "openshape_vitb32", "checkpoint": checkpoint}
    embedded["encoders"]["images"]["tiny-clip-patch8"] |= {"backend": "transformers", "weights": weights}
    embedded["alignment"]["image_embedding"]["layer"] = layer
    return resolve([("params.yaml", params)])


def test_an_encoder_shares_the_projected_layer_of_its_clip(params):
    assert shared_space(resolved(params), "model.pt") == B32


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"layer": "pooled"},
            rf"the pooled layer of tiny-clip-patch8 \({B32}\), but openshape",
        ),
        (
            {"weights": "openai/clip-vit-large-patch14"},
            rf"\(openai/clip-vit-large-patch14\), but .* layer of {B32}",
        ),
    ],
)
def test_another_space_than_that_of_the_images_is_refused(params, changes, message):
    with pytest.raises(InputError, match=message):
        shared_space(resolved(params, **changes), "model.pt")


def test_an_encoder_with_a_space_of_its_own_needs_a_mapper(params):
    assert shared_space(resolve([("params.yaml", params)]), "train") is None


def manifest(count: int) -> pd.DataFrame:
    names = [f"{number:02d}" for number in range(count)]
    frame = pd.DataFrame({"class": ["chair", "cone"] * (count // 2), "object": names})
    frame = frame.assign(corruption="original", severity=0, split="test")
    return frame.assign(cloud_id=frame["class"] + "/original/" + frame["object"])


def test_its_embeddings_retrieve_and_classify_without_a_mapper():
    rng = np.random.default_rng(0)
    images = rng.normal(size=(6, 4)).astype(np.float32)
    data = Clouds(manifest(6), 7 * images, images)  # the length does not matter
    prompts = np.stack([images[0], images[1]])
    space = ImageSpace.of(images, ["chair", "cone"], prompts, None, [1])
    records, _ = evaluate(references(space, None, direct=True), data, data, OBJECT)
    encoder = records.set_index("predictor").loc["encoder"]
    assert (encoder["image_r1"], encoder["cloud_r1"], encoder["image_rank"]) == (1, 1, 1)
    assert encoder["top1"] == records.set_index("predictor").loc["renders", "top1"]
    assert "l1" not in records
    own = choose(
        pd.DataFrame(
            [("ridge", 0, 3, 0.9, 0.5), ("encoder", 0, 3, 0.4, np.nan)],
            columns=["predictor", "fold", "n", "reciprocal_rank", "skill"],
        )
    )
    assert own["predictor"].tolist() == ["encoder", "ridge"]


def test_clouds_are_compared_with_prompts(tmp_path):
    data = manifest(4)
    points = np.eye(4, dtype=np.float32)[[0, 1, 0, 0]]
    write_embeddings(tmp_path / "c.h5", [("chair", data["cloud_id"], {"global": points})], "e", "p")
    prompts = {"spaces": [["a chair"], ["a cone"]]}
    rows = {"spaces": np.eye(4, dtype=np.float32)[:2]}
    write_prompts(tmp_path / "p.h5", ["chair", "cone"], prompts, rows, "clip", "p")
    hits = cloud_hits(data, "openshape", tmp_path / "c.h5", tmp_path / "p.h5", ["spaces"], [1, 2])
    assert hits["top1"].tolist() == [True, True, True, False]
    assert hits["top2"].all()
    assert set(hits["model"]) == {"openshape"}
