"""params.yaml: resolution of presets and the errors of bad ones."""

import jsonschema
import pytest
import yaml
from conftest import ROOT, SCHEMA

from pointspider.core.errors import InputError
from pointspider.study.config import load, locate, resolve
from pointspider.study.remote import read_remotes


def test_both_presets_of_the_repository_are_valid(params):
    embedded = load([ROOT / "params.yaml"], SCHEMA)
    paper = resolve({**params, "preset": "paper"}, SCHEMA)
    assert embedded["clouds"]["source"] == "procedural"
    assert paper["alignment"]["split"] == {"train": 2048, "test": 420}
    assert len(paper["clouds"]["corruptions"]) * len(paper["clouds"]["severities"]) == 55
    assert "presets" not in embedded


def test_every_key_of_the_schema_is_described():
    schema = yaml.safe_load(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)

    described = []

    def visit(node, path):
        for name, child in node.get("properties", {}).items():
            target = schema["$defs"][child["$ref"].rpartition("/")[2]] if "$ref" in child else child
            assert child.get("description") or target.get("description"), ".".join((*path, name))
            described.append(".".join((*path, name)))
            if child.get("type") == "object":
                assert "additionalProperties" in child, ".".join((*path, name))
                visit(child, (*path, name))
                if isinstance(child["additionalProperties"], dict):
                    visit(child["additionalProperties"], (*path, name, "*"))

    visit(schema, ())
    assert {"seeds.render", "encoders.images.*.patch", "mapper.learning_rate"} <= set(described)


def test_further_files_are_merged_over_the_first():
    folder = load([ROOT / "params.yaml", ROOT / "docs/folder.yaml"], SCHEMA)
    assert (folder["preset"], folder["clouds"]["source"]) == ("folder", "folder")
    assert folder["clouds"]["points"] == 1024  # of params.yaml
    assert "occlusion" not in folder["clouds"]["corruptions"]  # a list is replaced, not merged


def test_resolving_does_not_change_its_argument(params):
    before = yaml.safe_dump(params)
    resolve(params, SCHEMA)
    assert yaml.safe_dump(params) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p["mapper"].update(epohcs=3), r"mapper\.epohcs: unknown key; did you mean 'epochs'"),
        (lambda p: p.update(colour=1), r"colour: unknown key"),
        (
            lambda p: p["presets"]["paper"]["render"].update(qualty="clip"),
            r"presets\.paper\.render\.qualty: unknown key; did you mean 'quality'",
        ),
        (lambda p: p["presets"]["paper"]["mapper"].pop("epochs"), r"mapper\.epochs: missing"),
        (lambda p: p["mapper"].update(norm="batch"), r"mapper\.norm: 'batch' is not one of"),
        (lambda p: p["mapper"].update(learning_rate="fast"), r"mapper\.learning_rate: 'fast' is not of type"),
        (lambda p: p["clouds"].update(severities=[0]), r"clouds\.severities\.0: 0 is not one of"),
        (
            lambda p: p["mapper"].update(epochs=3),
            r"mapper\.epochs stands both at the top level and in presets",
        ),
        (
            lambda p: p.update(preset="quick"),
            r"preset: 'quick' does not exist; choose one of \['embedded', 'paper'\]",
        ),
        (lambda p: p["zero_shot"].update(prompt="A model"), r"zero_shot\.prompt: 'A model' does not match"),
        (lambda p: p["zero_shot"].update(top=[3]), r"zero_shot\.top: must hold 1"),
        (
            lambda p: p["presets"]["embedded"]["alignment"]["image_embedding"].update(model="clip"),
            r"alignment\.image_embedding\.model: 'clip' is none of encoders\.images: tiny-clip-patch8",
        ),
        (
            lambda p: p["presets"]["embedded"]["clouds"].update(encoder_objects=0),
            r"presets\.embedded\.clouds\.encoder_objects: is 0, but encoders that are trained need",
        ),
        (
            lambda p: p["presets"]["embedded"]["encoders"]["images"]["tiny-clip-patch8"].update(patch=7),
            r"tiny-clip-patch8\.patch: 7 does not divide render\.resolution, 64",
        ),
        (
            lambda p: p["presets"]["paper"]["encoders"]["images"].update(
                pointnet={"backend": "open_clip", "weights": "a/b"}
            ),
            r"encoders\.images: 'pointnet' is the point encoder's name already",
        ),
        (
            lambda p: p["presets"]["embedded"]["encoders"]["images"]["tiny-clip-patch8"].update(width=100),
            r"tiny-clip-patch8\.width: 100 is not a multiple of 32",
        ),
        (
            lambda p: p["presets"]["embedded"]["encoders"]["points"].pop("epochs"),
            r"encoders\.points\.epochs: missing",
        ),
        (
            lambda p: (p.update(preset="paper"), p["alignment"].update(clouds="all")),
            r"mapper\.batch_size: null .* give a number",
        ),
    ],
)
def test_a_bad_parameter_is_refused_with_its_path(params, change, message):
    change(params)
    with pytest.raises(InputError, match=message):
        resolve(params, SCHEMA)


@pytest.fixture
def paper(params, tmp_path, monkeypatch) -> dict:
    """The preset `paper` on a machine that holds nothing."""
    monkeypatch.chdir(tmp_path)
    return resolve({**params, "preset": "paper"}, SCHEMA)


REMOTES = read_remotes(ROOT / "data/sources.csv")


def test_what_is_fetched_is_found_however_its_path_is_written(paper):
    assert locate(paper, REMOTES) == paper
    paper["clouds"]["directory"] = "./data//modelnet40_c/"
    paper["encoders"]["points"]["directory"] = "data/modelnet40_ply_hdf5_2048/"
    located = locate(paper, REMOTES)
    assert located["clouds"]["directory"] == "data/modelnet40_c"
    assert located["encoders"]["points"]["directory"] == "data/modelnet40_ply_hdf5_2048"
    generate = {**paper, "clouds": {**paper["clouds"], "source": "generate", "directory": "data/"}}
    assert locate(generate, REMOTES)["clouds"]["directory"] == "data"


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        ("clouds.directory", "data/typo"),
        ("encoders.points.directory", "data/typo"),
        ("encoders.points.checkpoint", "nowhere.pth"),
        ("encoders.points.checkpoint", "openai/clip-vit-base-patch32"),
        ("encoders.images.clip-vit-base-patch32.weights", "openai/clip"),
        ("encoders.images.clip-vit-base-patch32.weights", "modelnet40_c_pointnet"),
    ],
)
def test_what_is_neither_here_nor_fetched_is_refused(paper, tmp_path, keys, value):
    *parents, key = keys.split(".")
    section = paper
    for parent in parents:
        section = section[parent]
    section[key] = value
    with pytest.raises(InputError, match=f"{keys}: '{value}' is neither on this machine nor in data/sources"):
        locate(paper, REMOTES)
    (tmp_path / value).mkdir(parents=True)
    assert locate(paper, REMOTES) == paper


def test_a_broken_file_is_named(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("a: [1,")
    with pytest.raises(InputError, match=r"params.yaml: cannot be read as YAML"):
        load([path], SCHEMA)
