"""The commands index, search, duplicates and classify on small models with random weights."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from pointspider.cli.main import main
from pointspider.encoders.points.architectures.openshape_vitb32 import OpenShapeB32
from pointspider.encoders.points.architectures.openshape_vitl14 import Sizes
from pointspider.encoders.points.registry import save_point_encoder
from pointspider.index import Index, Models, Text


def run(capsys, *arguments):
    """Output and error output of a command."""
    capsys.readouterr()
    main([str(argument) for argument in arguments])
    return capsys.readouterr()


@pytest.fixture
def chair(chairs_and_tables):
    return chairs_and_tables / "chair/03.npy"


# ----------------------------------------------------------------------------------------------- index


def test_clouds_are_indexed_once(tmp_path, capsys, small_models, chairs_and_tables):
    arguments = (
        "index", chairs_and_tables, "-o", tmp_path / "i", "--encoder", "pointnet_vanilla", "--checkpoint",
        small_models.encoder, "--points", 60,
    )  # fmt: skip
    first = run(capsys, *arguments).err
    assert "25 added, 0 updated, 0 unchanged, 0 skipped" in first
    assert "25 clouds: embeddings of pointnet_vanilla (" in first
    assert "objects reach it with another object" in first
    assert "0 added, 0 updated, 25 unchanged, 0 skipped" in run(capsys, *arguments).err
    # The index knows its models
    assert "25 unchanged" in run(capsys, "index", chairs_and_tables, "-o", tmp_path / "i", "--verify").err


def test_skipped_clouds_are_listed(tmp_path, capsys, index_path):
    shutil.copytree(index_path, tmp_path / "i")
    (tmp_path / "more").mkdir()
    for number in range(12):
        np.save(tmp_path / f"more/{number:02d}.npy", np.full((3, 3), np.inf))
    np.save(tmp_path / "more/good.npy", np.random.default_rng(0).normal(size=(70, 3)))
    err = run(capsys, "index", tmp_path / "more", "-o", tmp_path / "i").err
    assert "1 added, 0 updated, 0 unchanged, 12 skipped" in err
    assert err.count("points have NaN or inf") == 10
    assert "and 2 more" in err
    with (tmp_path / "i/skipped.csv").open() as file:
        assert [row["path"][-6:] for row in csv.DictReader(file)] == [f"{n:02d}.npy" for n in range(12)]


VANILLA = ["--encoder", "pointnet_vanilla", "--checkpoint", "{encoder}"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "new: is not an index yet. Give --from-run, or --encoder and --checkpoint"),
        (["--encoder", "pointnet"], "--encoder needs the weights"),
        ([*VANILLA, "--points", "0"], "--points: 0"),
        (["--encoder", "ponitnet", "--checkpoint", "{encoder}"], "did you mean 'pointnet'"),
        (["--encoder", "pointnet", "--checkpoint", "none"], "none: cannot be read"),
        (
            [*VANILLA, "--clip", "{clip}", "--layer", "pooled"],
            "embeds into no CLIP's space; give",
        ),
        ([*VANILLA, "--clip", "{clip}"], "layer: 'None' does not exist"),
        ([*VANILLA, "--prompt", "a chair"], "prompt: 'a chair' lacks {class}"),
        ([*VANILLA, "--layer", "pooled"], "layer: 'pooled' needs the CLIP"),
        (["nowhere", *VANILLA], "nowhere: does not exist"),
        (["--from-run", "embedded", *VANILLA], "--encoder: --from-run chooses the models; leave one"),
    ],
)
def test_bad_arguments_of_index(tmp_path, small_models, arguments, message, monkeypatch):
    monkeypatch.chdir(tmp_path)
    values = {"encoder": small_models.encoder, "clip": small_models.clip}
    with pytest.raises(SystemExit) as error:
        main(["index", "-o", "new", *(argument.format(**values) for argument in arguments)])
    assert message in str(error.value)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(("width", "layer"), [(24, "projected"), (16, "pooled")])
def test_an_encoder_in_the_space_of_another_clip_is_refused(tmp_path, small_models, width, layer):
    encoder = OpenShapeB32(Sizes(width=16, hidden=24, blocks=1), width=width)
    save_point_encoder(tmp_path / "shape.safetensors", "openshape_vitb32", encoder)
    arguments = ["index", "-o", tmp_path / "new", "--encoder", "openshape_vitb32", "--checkpoint"]
    arguments += [tmp_path / "shape.safetensors", "--clip", small_models.clip, "--layer", layer]
    message = rf"openshape_vitb32 embeds into the projected layer of openai/clip-vit-base-patch32, {width} "
    with pytest.raises(SystemExit, match=rf"{message}.* {layer} layer of tiny .*projected layer has 16"):
        main([*map(str, arguments)])
    assert not (tmp_path / "new").exists()


def test_an_existing_index_needs_clouds(index_path):
    with pytest.raises(SystemExit, match="give the clouds to index, or --from-run"):
        main(["index", "-o", str(index_path)])


def test_a_damaged_index_is_named_and_can_be_built_again(tmp_path, capsys, small_models, chairs_and_tables):
    arguments = [chairs_and_tables, "-o", tmp_path / "i", "--encoder", "pointnet_vanilla", "--points", 60]
    arguments += ["--checkpoint", small_models.encoder, "--no-calibration"]
    run(capsys, "index", *arguments)
    path = tmp_path / "i/000000.vectors.npy"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(
        SystemExit, match=r"000000\.vectors\.npy: is damaged, .* Delete .* build the index again"
    ):
        main(["index", *map(str, arguments), "--verify"])
    shutil.rmtree(tmp_path / "i")
    run(capsys, "index", *arguments)
    assert path.read_bytes() == content


def test_an_index_of_another_predictor_is_refused(index_path, small_models, chairs_and_tables):
    arguments = [chairs_and_tables, "-o", index_path, "--encoder", "pointnet_vanilla", "--points", 60]
    arguments += ["--checkpoint", small_models.encoder, "--predictor", small_models.projected]
    arguments += ["--clip", small_models.clip, "--layer", "projected"]
    with pytest.raises(SystemExit, match=r"its predictor is pooled \(\w{12}\), not projected \(\w{12}\)"):
        main(["index", *map(str, arguments)])


def test_the_precision_belongs_to_an_index(tmp_path, capsys, small_models, chairs_and_tables):
    arguments = [chairs_and_tables, "-o", tmp_path / "i", "--encoder", "pointnet_vanilla", "--points", 60]
    arguments += ["--checkpoint", small_models.encoder, "--no-calibration", "--precision"]
    run(capsys, "index", *arguments, "bf16")
    stored = Index.open(tmp_path / "i")
    rows = stored.store.vectors(np.arange(25))
    found = stored.embed([chairs_and_tables / "chair/03.npy"])
    (row,) = [row for row in range(25) if stored.store.item(row)["id"] == "clouds/chair/03.npy"]
    np.testing.assert_allclose(found[0], rows[row], atol=1e-2)
    models = Models.of("pointnet_vanilla", small_models.encoder, points=60)
    exact = Index.build(tmp_path / "exact", [chairs_and_tables], models, calibrate=False)
    cosines = (exact.store.vectors(np.arange(25)) * rows).sum(axis=1)
    assert 0.999 < cosines.min() < cosines.max() < 1
    with pytest.raises(
        SystemExit, match=r"60 points, bf16, not pointnet_vanilla \(\w{12}\), 60 points, fp32"
    ):
        main(["index", *map(str, arguments), "fp32"])


# ---------------------------------------------------------------------------------------------- search


def test_search_prints_similarities_and_ids(capsys, index_path, chair):
    lines = run(capsys, "search", chair, "-i", index_path, "--top", 3).out.splitlines()
    assert lines[0] == "1.000  clouds/chair/03.npy"
    assert len(lines) == 3


def test_a_cloud_of_the_index_is_found_by_its_id(capsys, index_path, chair, chairs_and_tables):
    by_file = run(capsys, "search", chair, "-i", index_path).out
    assert run(capsys, "search", "clouds/chair/03.npy", "-i", index_path).out == by_file
    minus = ("-i", index_path, "--minus")
    by_file = run(capsys, "search", chair, *minus, chairs_and_tables / "table/01.npy").out
    assert run(capsys, "search", chair, *minus, "clouds/table/01.npy").out == by_file
    with pytest.raises(SystemExit, match=r"clouds/chair/99\.npy: cannot be read"):
        main(["search", "clouds/chair/99.npy", "-i", str(index_path)])


def test_search_with_several_queries_and_forms(capsys, index_path, chair, chairs_and_tables):
    table = chairs_and_tables / "table/01.npy"
    out = run(capsys, "search", chair, table, "-i", index_path, "--top", 2).out.splitlines()
    assert out[0] == f"# {chair}"
    assert out[4].endswith("clouds/table/01.npy")
    rows = [
        json.loads(line)
        for line in run(
            capsys, "search", table, "-i", index_path, "--json", "--where", "class=chair"
        ).out.splitlines()
    ]
    assert [row["rank"] for row in rows] == [1, 2, 3, 4, 5]
    assert {row["class"] for row in rows} == {"chair"}
    out = run(capsys, "search", table, "-i", index_path, "--csv", "--min-similarity", "0.99999").out
    assert [row["id"] for row in csv.DictReader(io.StringIO(out))] == ["clouds/table/01.npy"]
    assert run(capsys, "search", table, "-i", index_path, "--paths-only", "--top", 1).out == f"{table}\n"


def test_words_and_pictures(tmp_path, capsys, index_path, chair, small_models):
    colour = np.random.default_rng(0).integers(0, 255, size=(20, 30, 4), dtype=np.uint8)
    Image.fromarray(colour).save(tmp_path / "photo.png")
    out = run(capsys, "search", tmp_path / "photo.png", "--text", "a round table", "--minus", "a chair", "-i",
              index_path, "--together", "--csv").out  # fmt: skip
    (query,) = {row["query"] for row in csv.DictReader(io.StringIO(out))}
    assert query == f"{tmp_path / 'photo.png'} + a round table"
    # Pooled rows are taken to the space of words exactly
    index = Index.open(index_path)
    projection = index.models.projection
    rows = index.store.vectors(np.arange(25)) @ projection
    words = index.models.clip.encode_prompts(["a round table"])[0]
    cosines = rows @ words / np.linalg.norm(rows, axis=1) / np.linalg.norm(words)
    (result,) = index.search([Text("a round table")], top=25)
    np.testing.assert_allclose([hit.similarity for hit in result.hits], np.sort(cosines)[::-1], atol=1e-5)
    # An index in the projected space gives the same, if its predictor is the pooled one with the projection
    pooled = index.models.predictor
    type(pooled)(pooled.weight @ projection, pooled.bias @ projection).save(tmp_path / "both.safetensors")
    models = Models.of(
        "pointnet_vanilla", small_models.encoder, points=60, predictor=tmp_path / "both.safetensors",
        clip=small_models.clip, layer="projected",
    )  # fmt: skip
    other = Index.build(tmp_path / "i", [chair.parents[1]], models, calibrate=False)
    (same,) = other.search([Text("a round table")], top=25)
    np.testing.assert_allclose(
        [hit.similarity for hit in same.hits], [hit.similarity for hit in result.hits], atol=1e-5
    )


def test_words_are_put_into_the_prompt_of_the_index(tmp_path, capsys, small_models, chairs_and_tables):
    run(
        capsys, "index", chairs_and_tables, "-o", tmp_path / "i", "--encoder", "pointnet_vanilla", "--points",
        60, "--checkpoint", small_models.encoder, "--predictor", small_models.pooled, "--clip",
        small_models.clip, "--layer", "pooled", "--prompt", "A model of {class}", "--no-calibration",
    )  # fmt: skip
    arguments = ("-i", tmp_path / "i", "--top", 3)
    found = run(capsys, "search", "--text", "a chair", *arguments)
    assert found.err == "'a chair' is read as 'A model of chair'; --verbatim turns this off\n"
    given = run(capsys, "search", "--text", "A model of chair", *arguments)
    assert (given.out, given.err) == (found.out, "")
    verbatim = run(capsys, "search", "--text", "a chair", "--verbatim", *arguments)
    index = Index.open(tmp_path / "i")
    (hit,) = index.search([Text("a chair")], verbatim=True, top=1)[0].hits
    assert verbatim.out.startswith(f"{hit.similarity:.3f}  {hit.id}\n")
    assert verbatim.out != found.out
    # Classification words its labels in the same way
    similarities, _ = index.classify([chairs_and_tables / "chair/03.npy"], ["chair", "table"])
    words = index.models.embed_texts(["A model of chair", "A model of table"])
    row = index.embed([chairs_and_tables / "chair/03.npy"], words=True)
    np.testing.assert_allclose(similarities, row @ words.T, atol=1e-6)


def test_a_sheet_shows_queries_and_clouds(tmp_path, capsys, index_path, chair):
    code = "import sys; from pointspider.cli.main import main; main(sys.argv[1:])"
    command = [
        "search",
        chair,
        "-i",
        index_path,
        "--text",
        "a chair",
        "--top",
        "2",
        "--sheet",
        tmp_path / "s.png",
    ]
    subprocess.run([sys.executable, "-c", code, *map(str, command)], check=True, capture_output=True)
    width, height = Image.open(tmp_path / "s.png").size
    assert width == 3 * 160 + 2 * 8
    assert height > 320


def test_a_long_text_is_refused(index_path):
    exact = " ".join(["a"] * 14)  # 16 tokens with start and end
    Index.open(index_path).search([Text(exact)])
    with pytest.raises(
        SystemExit, match=r"text: 'a a .*' has 17 tokens with start and end; the CLIP reads 16"
    ):
        main(["search", "--text", f"{exact} a", "-i", str(index_path)])
    with pytest.raises(SystemExit, match="text: is empty"):
        main(["search", "--text", " ", "-i", str(index_path)])


def test_bad_queries(tmp_path, index_path, chair):
    (tmp_path / "photo.png").write_bytes(b"\x89PNG no")
    np.save(tmp_path / "broken.npy", np.full((10, 3), np.inf))
    np.save(tmp_path / "flat.npy", np.zeros((10, 2)))
    for arguments, message in (
        ([tmp_path / "photo.png"], r"photo\.png: not a complete picture"),
        ([tmp_path / "none.jpg"], r"none\.jpg: not a complete picture"),
        ([tmp_path / "broken.npy"], r"broken\.npy: 10 of 10 points have NaN or inf"),
        ([tmp_path / "flat.npy"], r"flat\.npy: an array must be \(N, 3 or more\) .* not \(10, 2\)"),
        ([], "give a cloud, a picture or a text"),
        ([chair, "--where", "chair"], "'chair' is not FIELD=VALUE"),
        (
            [chair, "--checkpoint", chair],
            r"03\.npy: contains another pointnet_vanilla \(\w{12}\) than the index",
        ),
        ([chair, "--predictor", tmp_path / "gone"], "gone: cannot be read .* --predictor"),
    ):
        with pytest.raises(SystemExit, match=message):
            main(["search", *map(str, arguments), "-i", str(index_path)])
    with pytest.raises(SystemExit, match="nowhere: not an index"):
        main(["search", str(chair), "-i", "nowhere"])


def test_a_changed_file_is_reported(tmp_path, capsys, index_path, small_models, chairs_and_tables):
    shutil.copytree(index_path, tmp_path / "i")
    shutil.copytree(chairs_and_tables, tmp_path / "mine")
    run(capsys, "index", tmp_path / "mine", "-o", tmp_path / "i")
    np.save(tmp_path / "mine/table/05.npy", np.eye(3))
    captured = run(capsys, "search", chairs_and_tables / "table/05.npy", "-i", tmp_path / "i", "--top", 2)
    assert (
        "1 of these files changed or vanished since they were indexed, e.g. mine/table/05.npy" in captured.err
    )


# ------------------------------------------------------------------------------------------ duplicates


def test_near_and_exact_duplicates(capsys, index_path):
    captured = run(capsys, "duplicates", "-i", index_path, "--threshold", "0.999999")
    assert captured.out == "1.0000  clouds/chair/00.npy  clouds/chair/copy.npy\n"
    assert "1 groups of 2 clouds among 25" in captured.err
    assert run(capsys, "duplicates", "--exact", "-i", index_path).out == (
        "copy  clouds/chair/00.npy  clouds/chair/copy.npy\n"
    )
    captured = run(capsys, "duplicates", "-i", index_path)
    assert (
        "objects reach it with another object; of their corrupted versions, by severity 1: " in captured.err
    )


def test_the_backend_of_a_notebook_may_be_missing(tmp_path):
    """As in `!pointspider duplicates` of a cell."""
    code = (
        "import sys; from pathlib import Path; from types import SimpleNamespace\n"
        "from pointspider.cli.commands.duplicates import _plot\n"
        "index = SimpleNamespace(similarity_to_others=lambda: [0.5, 0.6])\n"
        "_plot(index, SimpleNamespace(threshold=None), Path(sys.argv[1]))"
    )
    environment = {**os.environ, "MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    subprocess.run([sys.executable, "-c", code, tmp_path / "h.png"], env=environment, check=True)
    assert Image.open(tmp_path / "h.png").size == (900, 450)


def test_duplicates_as_tables_and_plots(tmp_path, capsys, index_path):
    out = run(
        capsys,
        "duplicates",
        "--csv",
        "-i",
        index_path,
        "--threshold",
        "0.999999",
        "--histogram",
        tmp_path / "h.png",
    ).out
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [(row["id"], row["keep"], row["group"]) for row in rows] == [
        ("clouds/chair/00.npy", "True", "1"), ("clouds/chair/copy.npy", "False", "1")
    ]  # fmt: skip
    assert Image.open(tmp_path / "h.png").size == (900, 450)
    lines = run(capsys, "duplicates", "--json", "--exact", "-i", index_path).out.splitlines()
    assert json.loads(lines[1])["kind"] == "copy"


def test_a_closed_pipe_ends_it_quietly(index_path):
    reader, writer = os.pipe()
    os.close(reader)
    code = "import sys; from pointspider.cli.main import main; main(sys.argv[1:])"
    command = ["duplicates", "-i", index_path, "--threshold", "0.01", "--groups", "pairs"]
    child = subprocess.run(
        [sys.executable, "-c", code, *map(str, command)], stdout=writer, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONUNBUFFERED": ""},
    )  # fmt: skip
    os.close(writer)
    assert child.returncode == 1
    assert "Error" not in child.stderr


# -------------------------------------------------------------------------------------------- classify


def test_classify(capsys, index_path, chair):
    captured = run(capsys, "classify", chair, "-i", index_path, "--labels", "chair,table")
    name, *answers = captured.out.strip().split("  ")
    assert name == str(chair)
    assert sum(float(answer.split()[-1]) for answer in answers) == pytest.approx(1, abs=0.002)
    captured = run(capsys, "classify", chair, "-i", index_path, "--labels", "chair, night_stand", "--json")
    answers = json.loads(captured.out)["answers"]
    assert {answer["label"] for answer in answers} == {"chair", "night_stand"}
    assert answers[0]["similarity"] >= answers[1]["similarity"]
    assert answers[0]["share"] is None
    with pytest.raises(SystemExit, match="labels: give two or more different ones"):
        main(["classify", str(chair), "-i", str(index_path), "--labels", "chair"])


# ------------------------------------------------------------------------------------------------- run


@pytest.mark.workflow
def test_a_finished_run_is_indexed(tmp_path, capsys, finished_project):
    from pointspider.study.cloud_files import read_clouds

    project = ["--project", finished_project.directory]
    err = run(capsys, *project, "index", "--from-run", "embedded", "-o", tmp_path / "i").err
    index = Index.open(tmp_path / "i")
    assert f"{len(index)} added" in err
    assert index.models.description.layer == "pooled"
    metrics = json.loads((finished_project.directory / "results/embedded/metrics.json").read_text())
    scores = {name: metrics[f"search_{name}"] for name in ("ridge", "procrustes", "BASE", "LNORM", "RNORM")}
    chosen = metrics["search_predictor"]
    assert metrics[f"search_{chosen}"] == max(scores.values())
    stem = {"BASE": "seed_0_last", "LNORM": "seed_0_last", "RNORM": "seed_0_last"}.get(chosen, chosen)
    assert index.models.description.predictor.name == stem
    item = index.store.item(0)
    assert item["id"].split("/")[0] == item["class"]
    _, points = next(iter(read_clouds(item["path"], {item["id"]}).values()))
    np.save(tmp_path / "query.npy", points[0])
    out = run(capsys, "search", tmp_path / "query.npy", "-i", tmp_path / "i", "--top", 3).out
    assert len(out.splitlines()) == 3
    assert (
        f"{len(index)} unchanged"
        in run(capsys, *project, "index", "--from-run", "embedded", "-o", tmp_path / "i").err
    )
    run(capsys, "search", "--text", "a chair", "-i", tmp_path / "i")
    with pytest.raises(
        SystemExit, match=r"predictor: 'rigde' does not exist; choose from none, layer, response, "
    ):
        main(
            [
                *map(str, project),
                "index",
                "--from-run",
                "embedded",
                "-o",
                str(tmp_path / "j"),
                "--predictor",
                "rigde",
            ]
        )


@pytest.mark.workflow
def test_a_run_that_is_not_finished_is_reported(tmp_path, project):
    with pytest.raises(SystemExit, match="has no embeddings; run `snakemake"):
        main(
            [
                "--project",
                str(project.directory),
                "index",
                "--from-run",
                "embedded",
                "-o",
                str(tmp_path / "i"),
            ]
        )
