"""Files of predictors: every fit and every mapper, and the folder of baselines."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from pointspider.core.errors import InputError
from pointspider.core.files import read_json
from pointspider.mappers.affine import Affine
from pointspider.mappers.base import Predictor
from pointspider.mappers.baselines import fit_predictors
from pointspider.mappers.files import load_predictor
from pointspider.mappers.fits import fit_baselines
from pointspider.mappers.settings import MapperSettings

FITS = ["zero", "mean", "median", "procrustes", "ridge", "reduced_rank", "lad"]


@pytest.fixture
def embeddings() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 6)).astype(np.float32)
    return x, (x @ rng.normal(size=(6, 4)) + rng.normal(size=(40, 4))).astype(np.float32)


def test_every_fit_is_restored_exactly(tmp_path, embeddings):
    for name, fit in fit_baselines(*embeddings, np.arange(40), [0.1, 1.0], 5, 0):
        fit.save(tmp_path / name)
        loaded = load_predictor(tmp_path / name)
        assert isinstance(loaded, Predictor)
        assert (loaded.input_width, loaded.output_width) == (6, 4)
        assert loaded.facts == fit.facts
        np.testing.assert_array_equal(loaded.predict(embeddings[0]), fit.predict(embeddings[0]))
        loaded.save(tmp_path / "again")
        assert (tmp_path / "again").read_bytes() == (tmp_path / name).read_bytes()


def test_baselines_are_written_with_their_facts(tmp_path, embeddings):
    x, y = embeddings
    settings = MapperSettings(epochs=2)
    fit_predictors(
        tmp_path, x[:30], y[:30], x[30:], y[30:], np.arange(30), [0.1, 1.0], 5, 0, settings, [0, 3]
    )
    facts = read_json(tmp_path / "facts.json")
    assert [row["mapper"] for row in facts] == [*FITS, "linear_layer", "linear_layer"]
    layers = [f"linear_layer_seed_{seed}_{epoch}" for seed in (0, 3) for epoch in ("best", "last")]
    assert sorted(path.stem for path in tmp_path.glob("*.safetensors")) == sorted([*FITS, *layers])
    for row in facts[:7]:
        predicted = load_predictor(tmp_path / f"{row['mapper']}.safetensors").predict(x[:30])
        assert row["l1_train"] == pytest.approx(np.abs(predicted - y[:30]).mean(), rel=1e-6)
    assert {"lambda", "lambda_at_end"} <= set(facts[4])
    last = load_predictor(tmp_path / "linear_layer_seed_3_last.safetensors")
    assert facts[-1]["l1_last"] == pytest.approx(np.abs(last.predict(x[30:]) - y[30:]).mean(), rel=1e-5)


def test_files_that_are_not_predictors_are_refused(tmp_path):
    path = tmp_path / "ridge.safetensors"
    with pytest.raises(InputError, match=r"ridge\.safetensors: cannot be read"):
        load_predictor(path)
    save_file({"weight": np.zeros((2, 3), np.float32)}, path)
    with pytest.raises(InputError, match="has no checksum of this program"):
        load_predictor(path)
    Affine(np.zeros((2, 3), np.float32), np.full(3, np.nan, np.float32)).save(path)
    with pytest.raises(InputError, match="hold NaN or inf"):
        load_predictor(path)
    Affine(np.zeros((2, 3), np.float32), np.zeros(3, np.float32)).save(path)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(InputError, match="is damaged, it does not match its checksum"):
        load_predictor(path)
