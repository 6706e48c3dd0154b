"""params.yaml: the merge of files and presets, typed parameters, and the errors of bad ones."""

import copy
from pathlib import Path

import pytest

from pointspider.core.errors import InputError
from pointspider.mappers.network import Mapper
from pointspider.study.config import Params, load, resolve
from pointspider.study.config.reference import generate, parameters
from pointspider.study.remote import read_remotes


def resolved(params: dict, **options) -> Params:
    return resolve([("params.yaml", params)], **options)


def test_both_presets_of_the_repository_are_valid(root):
    embedded = load([root / "params.yaml"])
    paper = load([root / "params.yaml"], {"preset": "paper"})
    assert embedded.clouds.source == "procedural"
    assert (paper.alignment.split.train, paper.alignment.split.test) == (2048, 420)
    assert len(paper.clouds.corruptions) * len(paper.clouds.severities) == 55


def test_the_schema_and_the_reference_page_are_up_to_date(root):
    for path, content in generate(root).items():
        assert (root / path).read_text() == content, f"{path}: run `make schema`"


def test_every_parameter_has_a_type_and_a_meaning():
    found = {parameter.key: parameter for parameter in parameters()}
    assert all(parameter.type and parameter.meaning for parameter in found.values())
    assert found["mapper.base_width"].type == "integer ≥ 1, null"
    assert found["render.quality"].type == "`clip`, `reference`"
    assert {"seeds.render", "encoders.images.*.patch", "clouds.directory"} <= set(found)


def test_files_are_merged_in_order(root):
    folder = load([root / "params.yaml", root / "docs/folder.yaml"], {"seeds": {"render": 9}})
    assert (folder.preset, folder.clouds.source) == ("folder", "folder")
    assert folder.clouds.points == 1024  # of params.yaml
    assert "occlusion" not in folder.clouds.corruptions  # a list is replaced, not merged
    assert (folder.seeds.render, folder.seeds.test) == (9, 7)


def test_null_removes_a_mapping_and_is_a_value_elsewhere(root):
    images = {"tiny-clip-patch16": None}
    changes = {"presets": {"embedded": {"encoders": {"images": images}, "mapper": {"batch_size": None}}}}
    params = load([root / "params.yaml"], changes)
    assert list(params.encoders.images) == ["tiny-clip-patch8"]
    assert params.mapper.batch_size is None


def test_a_checkpoint_is_selected_by_one_line(root):
    points = {"checkpoint": "modelnet40_c_pointnet"}
    changes = {"preset": "paper", "presets": {"paper": {"encoders": {"points": points}}}}
    remotes = read_remotes(root / "data/sources.csv")
    assert (
        load([root / "params.yaml"], changes, remotes).encoders.points.checkpoint == "modelnet40_c_pointnet"
    )


def test_the_arguments_are_not_changed(params):
    before = copy.deepcopy(params)
    resolve([("params.yaml", params), ("--config", {"clouds": {"severities": [1]}})])
    assert params == before


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("mapper.epohcs", 3, r"mapper\.epohcs: unknown key; did you mean 'epochs'\?"),
        ("wavelength", 1, r"wavelength: unknown key; known keys: alignment, "),
        (
            "presets.paper.render.qualty",
            "clip",
            r"presets\.paper\.render\.qualty: unknown key; did you mean 'quality'",
        ),
        ("presets.paper.mapper.epochs", ..., r"mapper\.epochs: missing\."),
        ("presets.paper.clouds.source", ..., r"clouds\.source: missing\."),
        ("presets.paper.clouds.source", "web", r"paper\.clouds\.source: is 'web'; should be 'folder', "),
        ("presets.paper.clouds.classes", 3, r"classes: is 3; should be 'all' or should be a valid list"),
        ("mapper.norm", "batch", r"mapper\.norm: is 'batch'; should be 'none', 'layer' or 'response'"),
        ("mapper.learning_rate", "fast", r"mapper\.learning_rate: is 'fast'; should be a valid number"),
        ("mapper.learning_rate", "1e-3", r"mapper\.learning_rate: is '1e-3'; should be a valid number"),
        ("mapper.response_size", True, r"mapper\.response_size: is True; should be a valid integer"),
        ("clouds.severities", [0], r"clouds\.severities\.0: is 0; should be greater than or equal to 1"),
        ("clouds.severities", [1, 1], r"clouds\.severities: is \[1, 1\]; contains an item twice"),
        (
            "clouds.corruptions",
            ["unform"],
            r"clouds\.corruptions\.0: is 'unform'; should be one of uniform, ",
        ),
        (
            "mapper.epochs",
            3,
            r"presets\.embedded\.mapper\.epochs: is also at the top level \(params\.yaml\)",
        ),
        ("preset", "quick", r"preset: 'quick' does not exist; choose one of \['embedded', 'paper'\]"),
        ("presets", None, r"preset: 'embedded' does not exist; choose one of \[\]"),
        ("zero_shot.prompt", "A model", r"zero_shot\.prompt: is 'A model'; should match pattern"),
        ("zero_shot.top", [3], r"zero_shot\.top: must contain 1"),
        (
            "presets.embedded.alignment.image_embedding.model",
            "clip",
            r"alignment\.image_embedding\.model: 'clip' is not in encoders\.images: tiny-clip-patch8",
        ),
        (
            "presets.embedded.clouds.encoder_objects",
            0,
            r"presets\.embedded\.clouds\.encoder_objects: is 0, but encoders that are trained need",
        ),
        (
            "presets.embedded.encoders.images.tiny-clip-patch8.patch",
            7,
            r"tiny-clip-patch8\.patch: 7 does not divide render\.resolution, 64",
        ),
        (
            "presets.paper.encoders.images.pointnet",
            {"backend": "open_clip", "weights": "a/b"},
            r"encoders\.images: 'pointnet' is the name of the point encoder",
        ),
        (
            "presets.embedded.encoders.images.tiny-clip-patch8.width",
            100,
            r"tiny-clip-patch8\.width: is 100; should be a multiple of 32",
        ),
        ("presets.embedded.encoders.points.epochs", ..., r"encoders\.points\.epochs: missing"),
        (
            "presets.embedded.clouds.evaluation_objects",
            None,
            r"evaluation_objects: is None; should be a valid",
        ),
    ],
)
def test_a_bad_parameter_is_an_error_of_one_line_with_its_path(params, key, value, message):
    *parents, last = key.split(".")
    node = params
    for parent in parents:
        node = node[parent]
    if value is ...:
        del node[last]
    else:
        node[last] = value
    with pytest.raises(InputError, match=f"^params\\.yaml: .*{message}") as caught:
        resolved(params)
    assert "\n" not in str(caught.value)


def test_one_step_over_every_cloud_of_every_object_is_an_error(params):
    params["preset"] = "paper"
    params["alignment"]["clouds"] = "all"
    with pytest.raises(InputError, match=r"presets\.paper\.mapper\.batch_size: is null, .* give a number"):
        resolved(params)


def test_an_error_names_the_file_of_the_value(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text("mapper: {norm: batch}\npresets: {paper: {mapper: {epochs: many}}}\n")
    with pytest.raises(InputError, match=r"^mine\.yaml: mapper\.norm: is 'batch'"):
        load([root / "params.yaml", "mine.yaml"])
    with pytest.raises(InputError, match=r"^mine\.yaml: presets\.paper\.mapper\.epochs: is 'many'"):
        load([root / "params.yaml", "mine.yaml"], {"mapper": {"norm": "none"}})
    with pytest.raises(InputError, match=r"^--config: mapper\.norm: is 'x'"):
        load([root / "params.yaml", "mine.yaml"], {"mapper": {"norm": "x"}})
    Path("preset.yaml").write_text("preset: mine\npresets: {mine: {mapper: {epochs: 3}}}\n")
    with pytest.raises(InputError, match=r"^preset\.yaml: clouds\.source: missing"):
        load([root / "params.yaml", "preset.yaml"])


@pytest.mark.parametrize(
    "content",
    [
        "a: [1,",
        "",
        "- a\n- b\n",
        "text",
        "a: " + "[" * 10_000,
        "a: 2001-99-99",
        "a: !!timestamp x",
        "a: !!bool x",
    ],
)
def test_a_broken_file_is_named(root, tmp_path, content):
    path = tmp_path / "mine.yaml"
    path.write_text(content)
    with pytest.raises(
        InputError, match=r"mine\.yaml: (cannot be read as YAML|is not a YAML mapping)"
    ) as caught:
        load([root / "params.yaml", path])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["mapper: &a {b: *a}", "a: &a [*a]"])
def test_an_alias_cannot_contain_itself(root, tmp_path, content):
    path = tmp_path / "mine.yaml"
    path.write_text(content)
    with pytest.raises(InputError, match=r"mine\.yaml: has more than 100,000 values"):
        load([root / "params.yaml", path])
    # nor have a value for every path through aliases
    lines = ["a0: &a0 [1, 2]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60))]
    path.write_text("\n".join(lines))
    with pytest.raises(InputError, match=r"mine\.yaml: has more than 100,000 values"):
        load([root / "params.yaml", path])


@pytest.fixture
def paper(params, tmp_path, monkeypatch) -> dict:
    """The configuration with preset `paper`, on a machine without data."""
    monkeypatch.chdir(tmp_path)
    return params | {"preset": "paper"}


@pytest.fixture(scope="module")
def remotes(root):
    return read_remotes(root / "data/sources.csv")


def change(params: dict, keys: str, value: object) -> None:
    *parents, key = keys.split(".")
    section = params["presets"]["paper"]
    for parent in parents:
        section = section[parent]
    section[key] = value


def test_paths_are_normalised(paper, remotes):
    change(paper, "clouds.directory", "./data//modelnet40_c/")
    change(paper, "encoders.points.directory", "data/modelnet40_ply_hdf5_2048/")
    params = resolved(paper, remotes=remotes)
    assert params.clouds.directory == "data/modelnet40_c"
    assert params.encoders.points.directory == "data/modelnet40_ply_hdf5_2048"
    change(paper, "clouds.source", "generate")
    change(paper, "clouds.directory", "data/")
    assert resolved(paper, remotes=remotes).clouds.directory == "data"


def test_a_tilde_is_the_home_directory(paper, remotes, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "release").mkdir()
    change(paper, "clouds.directory", "~/release/")
    assert resolved(paper, remotes=remotes).clouds.directory == str(tmp_path / "release")


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
def test_a_path_that_does_not_exist_and_is_not_fetched_is_an_error(paper, remotes, tmp_path, keys, value):
    change(paper, keys, value)
    message = f"presets.paper.{keys}: '{value}' is neither on this machine nor in data/sources"
    with pytest.raises(InputError, match=message):
        resolved(paper, remotes=remotes)
    (tmp_path / value).mkdir(parents=True)
    resolved(paper, remotes=remotes)


@pytest.mark.parametrize("keys", ["presets.embedded.encoders.points.checkpoint", "mapper.init"])
def test_a_path_with_braces_is_refused(params, tmp_path, keys):
    (tmp_path / "{a}.safetensors").touch()
    *parents, last = keys.split(".")
    node = params
    for parent in parents:
        node = node[parent]
    node[last] = str(tmp_path / "{a}.safetensors")
    with pytest.raises(InputError, match=rf"{keys}: '.*' has braces, which Snakemake cannot read; rename it"):
        resolved(params, remotes={})


def test_a_mapper_to_start_from_exists_and_has_the_norm(params, tmp_path):
    path = str(tmp_path / "{norm}.safetensors")
    params["mapper"]["init"] = path
    with pytest.raises(InputError, match=r"mapper.init: '.*none.safetensors' does not exist"):
        resolved(params, remotes={})
    for norm in ("none", "layer", "response"):
        Mapper(4, 3, norm).save(path.replace("{norm}", norm))
    assert resolved(params, remotes={}).mapper.init == path
    params["mapper"]["init"] = path.replace("{norm}", "response")
    with pytest.raises(InputError, match="is a mapper with norm 'response', but norm 'layer' should"):
        resolved(params, remotes={})
    Path(params["mapper"]["init"]).write_bytes(b"no mapper")
    with pytest.raises(InputError, match=r"mapper.init: .*has no checksum of this program"):
        resolved(params, remotes={})
