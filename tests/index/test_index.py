"""Building, adding, searching and de-duplicating with models that need no weights."""

import multiprocessing
import os
import time

import numpy as np
import pytest

from pointspider.core.errors import InputError
from pointspider.index import approximate, building
from pointspider.index.clouds import list_clouds, prepare
from pointspider.index.index import Index
from pointspider.index.results import Text
from pointspider.index.searching import nearest_rows
from pointspider.index.store import writing
from pointspider.index.zero_shot import fit_scale, softmax


@pytest.fixture
def index(tmp_path, write_clouds, models):
    return Index.build(tmp_path / "index", [write_clouds("clouds", {"bar": 6, "plate": 4})], models)


def ids(result):
    return [hit.id for hit in result.hits]


def test_a_cloud_finds_itself_and_its_class(index, tmp_path):
    result = index.search([tmp_path / "clouds/bar/003.npy"], top=6)[0]
    assert ids(result)[0] == "clouds/bar/003.npy"
    assert result.hits[0].similarity == pytest.approx(1, abs=1e-6)
    assert {hit.item["class"] for hit in result.hits[:4]} == {"bar"}
    assert [hit.rank for hit in result.hits] == [1, 2, 3, 4, 5, 6]
    assert not any(hit.stale for hit in result.hits)


def test_search_equals_brute_force(index, tmp_path, models):
    query = np.random.default_rng(5).normal(size=16)
    hits = index.search([query], top=10)[0].hits
    cosines = index.store.vectors(np.arange(10)) @ (query / np.linalg.norm(query))
    assert [hit.row for hit in hits] == np.argsort(-cosines).tolist()
    np.testing.assert_allclose([hit.similarity for hit in hits], np.sort(cosines)[::-1], atol=1e-6)


def test_several_queries_apart_together_and_minus(index, tmp_path):
    bar, plate = tmp_path / "clouds/bar/000.npy", tmp_path / "clouds/plate/000.npy"
    apart = index.search([bar, plate])
    assert [result.query for result in apart] == [str(bar), str(plate)]
    assert [ids(result)[0] for result in apart] == ["clouds/bar/000.npy", "clouds/plate/000.npy"]
    (both,) = index.search([bar, plate], together=True, top=10)
    vectors = index.embed([bar, plate])
    expected = vectors.sum(axis=0) / np.linalg.norm(vectors.sum(axis=0))
    assert both.hits[0].similarity == pytest.approx(
        (index.store.vectors(np.arange(10)) @ expected).max(), abs=1e-6
    )
    (without,) = index.search([bar], minus=[plate], weight=1, top=10)
    assert ids(without)[-1].startswith("clouds/plate/")


def test_filters(index, tmp_path):
    query = [tmp_path / "clouds/bar/000.npy"]
    (plates,) = index.search(query, where={"class": ["plate"]}, top=50)
    assert len(plates.hits) == 4
    assert {hit.item["class"] for hit in plates.hits} == {"plate"}
    (near,) = index.search(query, min_similarity=0.999999, top=10)
    assert ids(near) == ["clouds/bar/000.npy"]
    with pytest.raises(InputError, match=r"where: no cloud has class=cup; there are bar, plate"):
        index.search(query, where={"class": ["cup"]})
    with pytest.raises(InputError, match="'colour' is not a field"):
        index.search(query, where={"colour": ["red"]})


def test_more_than_there_are_gives_all(index, tmp_path):
    assert len(index.search([tmp_path / "clouds/bar/000.npy"], top=11)[0].hits) == 10
    with pytest.raises(InputError, match="top: 0 clouds cannot be found"):
        index.search([tmp_path / "clouds/bar/000.npy"], top=0)


def test_an_empty_index_is_refused(tmp_path, models):
    index = Index.create(tmp_path / "index", models)
    for call in (lambda: index.search([np.ones(16)]), index.duplicates):
        with pytest.raises(InputError, match="index: has no clouds"):
            call()


def test_rows_of_another_width_are_refused(index):
    with pytest.raises(
        InputError, match="vector: has 5 dimensions, but the index holds embeddings of moments"
    ):
        index.search([np.ones(5)])
    with pytest.raises(InputError, match=r"rows must have the shape \(1, 16\), not \(1, 5\)"):
        index.add_rows([(np.ones((1, 5), np.float32), [{"id": "a"}])])


def test_unchanged_files_are_not_embedded_again(index, tmp_path, models):
    before = models.embedded
    os.utime(tmp_path / "clouds/bar/000.npy", (1, 1))  # touched, but with the same content
    report = index.add([tmp_path / "clouds"])
    assert (report.added, report.updated, report.unchanged) == (0, 0, 10)
    assert models.embedded == before


def test_a_changed_file_is_stale_until_it_is_added_again(index, tmp_path):
    path = tmp_path / "clouds/bar/000.npy"
    np.save(path, np.load(tmp_path / "clouds/plate/001.npy") * 2)
    hits = index.search([path], top=10)[0].hits
    assert [hit.id for hit in hits if hit.stale] == ["clouds/bar/000.npy"]
    report = index.add([tmp_path / "clouds"])
    assert (report.added, report.updated, report.unchanged) == (0, 1, 9)
    assert len(index) == 10
    hits = index.search([path], top=2)[0].hits
    assert {hit.id for hit in hits} == {"clouds/bar/000.npy", "clouds/plate/001.npy"}
    assert not any(hit.stale for hit in hits)


def test_files_that_are_gone_are_pruned(index, tmp_path):
    (tmp_path / "clouds/bar/000.npy").unlink()
    assert index.search([np.ones(16)], where={"id": ["clouds/bar/000.npy"]})[0].hits[0].stale
    index.add([tmp_path / "clouds"], prune=True)
    assert len(index) == 9


def test_unusable_clouds_are_skipped_counted_and_listed(tmp_path, write_clouds, models):
    folder = write_clouds("clouds", {"bar": 1000})
    for number in (7, 500):
        np.save(folder / f"bar/{number:03d}.npy", np.full((5, 3), np.nan))
    (folder / "bar/999.npy").write_text("<html>")
    index = Index.create(tmp_path / "index", models)
    report = index.add([folder])
    assert len(index) == report.added == 997
    assert [path for path, _ in report.skipped] == [str(folder / f"bar/{n:03d}.npy") for n in (7, 500, 999)]
    assert "5 of 5 points have NaN" in report.skipped[0][1]
    assert str(report) == "997 added, 0 updated, 0 unchanged, 3 skipped"


def test_ids_must_be_unique(index, tmp_path, write_clouds):
    other = write_clouds("more/clouds", {"bar": 1})
    with pytest.raises(InputError, match=r"the index has the id 'clouds/bar/000\.npy' for another file"):
        index.add([other])
    with pytest.raises(InputError, match=r"would both have the id 'clouds/bar/000\.npy'"):
        list_clouds([other, tmp_path / "clouds"])
    row = (np.ones((2, 16), np.float32), [{"id": "a"}, {"id": "a"}])
    with pytest.raises(InputError, match="the id 'a' occurs twice"):
        index.add_rows([row])
    assert len(index) == 10


@pytest.mark.parametrize("part", ["encoder", "space"])
def test_other_models_are_refused_and_both_are_named(index, tmp_path, make_models, part):
    other = make_models("b" * 64) if part == "encoder" else make_models(clip="vit", layer="pooled")
    named = {
        "encoder": r"encoder is moments \(a{12}\), 64 points, fp32, not moments \(b{12}\)",
        "space": r"space is embeddings of moments \(a{12}\), not pooled layer of vit \(c{12}\)",
    }
    with pytest.raises(InputError, match=named[part]):
        Index.open(index.store.directory, other)
    with pytest.raises(InputError, match=named[part]):
        Index.build(index.store.directory, [tmp_path / "clouds"], other)


def test_words_need_the_space_of_a_clip(index):
    with pytest.raises(InputError, match=r"holds embeddings of moments .* Build an index with a predictor"):
        index.search([Text("a chair")])


@pytest.mark.parametrize(
    ("path", "message"), [("nowhere", "does not exist"), ("empty", "has no clouds; they are .h5")]
)
def test_paths_without_clouds(tmp_path, models, path, message):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=message):
        Index.build(tmp_path / "index", [tmp_path / path], models)


def test_an_interrupted_build_continues(tmp_path, write_clouds, make_models, monkeypatch):
    folder = write_clouds("clouds", {"bar": 60})

    class Slow(type(make_models())):
        def embed_clouds(self, clouds):
            time.sleep(0.05)
            return super().embed_clouds(clouds)

    def build(models):
        return Index.build(tmp_path / "index", [folder], models, calibrate=False)

    monkeypatch.setattr(building, "BATCH", 10)
    child = multiprocessing.get_context("fork").Process(target=build, args=(Slow(),))
    child.start()
    while len(list((tmp_path / "index").glob("*.vectors.npy"))) < 2 and child.is_alive():
        time.sleep(0.005)
    child.kill()
    child.join()
    half = Index.open(tmp_path / "index", make_models())
    assert 10 <= len(half) < 60
    half.store.verify()
    models = make_models()
    whole = build(models)
    assert len(whole) == 60
    assert models.embedded == 60 - len(half)
    assert len(set(whole.store.column("id").tolist())) == 60


def test_copies_of_a_cloud_have_the_same_row(models):
    rng = np.random.default_rng(0)
    cloud = rng.normal(size=(200, 3))
    for count in (64, 200, 300):
        expected = prepare(cloud, count, "a")
        np.testing.assert_allclose(prepare(rng.permutation(cloud) * 3 + 5, count, "b"), expected, atol=1e-6)
        assert expected.shape == (count, 3)


# ----------------------------------------------------------------------------------------- duplicates


def test_the_threshold_is_calibrated_on_corrupted_versions(tmp_path, write_clouds, models):
    folder = write_clouds("clouds", {"bar": 15, "plate": 15})
    np.save(folder / "bar/copy.npy", np.load(folder / "bar/000.npy") * 3)
    index = Index.build(tmp_path / "index", [folder], models)
    calibration = Index.open(tmp_path / "index").store.calibration
    assert calibration["objects"] == 31
    assert calibration["false_pairs"] == 0  # the copy is not another object
    assert calibration["threshold"] < 1
    recall = [calibration["recall"][str(severity)] for severity in range(1, 6)]
    assert recall[0] > recall[4]
    found = index.duplicates()
    assert found.threshold == calibration["threshold"]
    assert [[index.store.item(row)["id"] for row in group.rows] for group in found] == [
        ["clouds/bar/000.npy", "clouds/bar/copy.npy"]
    ]
    assert [group.kind for group in index.duplicates(exact=True)] == ["copy"]


def test_a_threshold_must_be_calibrated_or_given(index):
    with pytest.raises(InputError, match="has no calibrated threshold"):
        index.duplicates()
    with pytest.raises(InputError, match="'high' is neither auto nor a number"):
        index.duplicates("high")
    with pytest.raises(InputError, match="groups: 'many' does not exist"):
        index.duplicates(0.9, groups="many")


def test_leakage_between_two_folders(tmp_path, write_clouds, models):
    write_clouds("data/train", {"bar": 3})
    write_clouds("data/test", {"bar": 3}, seed=1)
    leaked = np.load(tmp_path / "data/train/bar/001.npy")
    np.save(tmp_path / "data/test/bar/002.npy", np.random.default_rng(0).permutation(leaked))
    index = Index.build(tmp_path / "index", [tmp_path / "data"], models)
    expected = [["data/test/bar/002.npy", "data/train/bar/001.npy"]]
    for found in (
        index.duplicates(0.99999, between=("train", "test")),
        index.duplicates(exact=True, between=("data/train", "test")),
    ):
        assert [sorted(index.store.item(row)["id"] for row in group.rows) for group in found] == expected
    with pytest.raises(InputError, match="between: no id has the folder 'validation'"):
        index.duplicates(0.9, between=("train", "validation"))


def test_calibration_by_the_versions_in_the_index(tmp_path, models):
    index = Index.create(tmp_path / "index", models)
    rng = np.random.default_rng(0)
    clean = rng.normal(size=(30, 16)).astype(np.float32)
    for severity in range(3):
        items = [
            {
                "id": f"{n}/{severity}",
                "class": "cone",
                "object": str(n),
                "severity": str(severity),
                "points_hash": "x",
            }
            for n in range(30)
        ]
        index.add_rows([(clean + 0.1 * severity * rng.normal(size=clean.shape).astype(np.float32), items)])
    index.calibrate_by_versions()
    calibration = index.store.calibration
    assert calibration["versions"] == {"1": 30, "2": 30}
    assert calibration["recall"]["1"] == 1
    assert (calibration["objects"], calibration["false_pairs"]) == (30, 0)


# ------------------------------------------------------------------------------------- approximate


def test_a_large_index_is_searched_approximately(tmp_path, models, monkeypatch):
    pytest.importorskip("faiss")
    monkeypatch.setattr(approximate, "LEAST_ROWS", 3000)
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(50, 16))
    rows = (centres[rng.integers(50, size=4000)] + 0.3 * rng.normal(size=(4000, 16))).astype(np.float32)
    index = Index.create(tmp_path / "index", models)
    index.add_rows([(rows, [{"id": str(n), "class": str(n % 2)} for n in range(4000)])])
    index = Index.open(tmp_path / "index", models)
    file = index._approximate
    assert file.facts.recall >= approximate.RECALL
    exact = np.argsort(
        -(index.store.vectors(np.arange(4000)) @ index.store.vectors(np.arange(40)).T), axis=0
    )[:10].T
    found, similarities = index.nearest(index.store.vectors(np.arange(40)), 10)
    assert np.mean([len(np.intersect1d(*pair)) for pair in zip(found, exact, strict=True)]) >= 9
    np.testing.assert_allclose(similarities[:, 0], 1, atol=1e-6)
    # Rows that were added later are found too, and a filter holds
    index.add_rows([(rows[:1] * 2, [{"id": "late"}])])
    index = Index.open(tmp_path / "index", models)
    assert {hit.id for hit in index.search([rows[0]], top=2)[0].hits} == {"0", "late"}
    odd = index.search([rows[0]], where={"class": ["1"]}, top=20)[0].hits
    assert len(odd) == 20
    assert {hit.item["class"] for hit in odd} == {"1"}


@pytest.mark.parametrize("kind", approximate.CANDIDATES)
def test_every_compression_finds_most_of_the_nearest(tmp_path, models, kind):
    pytest.importorskip("faiss")
    rows = np.random.default_rng(0).normal(size=(3000, 16)).astype(np.float32)
    index = Index.create(tmp_path / "index", models)
    index.add_rows([(rows, [{"id": str(n)} for n in range(3000)])])
    with writing(index.store.directory):
        file = approximate.Approximate.build(index.store, kind=kind)
    assert file.facts.kind == kind
    assert file.facts.recall >= 0.95
    queries = index.store.vectors(np.arange(20))
    found, similarities = nearest_rows(index.store, approximate.Approximate.open(index.store), queries, 3)
    assert found[:, 0].tolist() == list(range(20))
    np.testing.assert_allclose(similarities[:, 0], 1, atol=1e-6)


# ------------------------------------------------------------------------------------------ shares


def test_the_scale_makes_shares_likely():
    rng = np.random.default_rng(0)
    truth = rng.integers(3, size=2000)
    similarities = rng.normal(scale=0.05, size=(2000, 3))
    shares = softmax(similarities * 40)
    truth = np.array([rng.choice(3, p=row) for row in shares])
    assert fit_scale(similarities, truth) == pytest.approx(40, rel=0.1)
    np.testing.assert_allclose(softmax(similarities).sum(axis=1), 1)
