"""Search with real embeddings of OpenAI's CLIP ViT-B/32; skipped where they are not present."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from pointspider.index.index import Index

FEATURES = Path(__file__).parents[3] / "shared/real_data/clip_features"
pytestmark = pytest.mark.skipif(not FEATURES.is_dir(), reason="needs ../shared/real_data/clip_features")


def test_photographs_find_their_names(tmp_path, make_models):
    names = json.loads((FEATURES / "row_names.json").read_text())["lvis_v1_clip_a+cname"]
    texts = np.load(FEATURES / "lvis_v1_clip_a+cname.npy").astype(np.float32)
    photographs = np.load(FEATURES / "things_clip_base.npy").astype(np.float32)
    with (FEATURES / "manifest_sem-things.csv").open(encoding="utf-8-sig") as file:
        concepts = [row["text1"] for row in csv.DictReader(file)]
    models = make_models()
    models.width = texts.shape[1]
    index = Index.create(tmp_path / "index", models)
    index.add_rows([(texts, [{"id": name} for name in names])])
    known = {name.lower().replace("_", " "): name for name in reversed(names)}
    shared = [row for row, concept in enumerate(concepts) if concept.replace("_", " ") in known]
    assert len(shared) == 668
    results = index.search([photographs[row] for row in shared], top=5)
    ranks = []
    for row, result in zip(shared, results, strict=True):
        found = [hit.id for hit in result.hits]
        name = known[concepts[row].replace("_", " ")]
        ranks.append(found.index(name) if name in found else 5)
    assert np.mean(np.array(ranks) < 1) == pytest.approx(0.651, abs=0.0005)
    assert np.mean(np.array(ranks) < 5) == pytest.approx(0.904, abs=0.0005)
