"""Which jobs run again after an edit of the code."""

import shutil

import pytest

pytestmark = pytest.mark.workflow
LIBRARY = "src/pointspider"


@pytest.fixture(scope="module")
def edited(finished_project, tmp_path_factory):
    """A copy of the finished project; tests edit files of their own in it and restore them."""
    return finished_project.copy(tmp_path_factory.mktemp("edited") / "project")


@pytest.fixture
def restored(edited):
    yield edited
    edited.run("git", "checkout", "--quiet", ".")


def test_a_comment_a_docstring_and_formatting_run_nothing(restored):
    for name in ("render/renderer.py", "core/files.py", "study/tables/common.py"):
        restored.edit(f"{LIBRARY}/{name}", '"""', '"""Edited: ')
    restored.edit(f"{LIBRARY}/core/seeding.py", "\nimport", "\n# a comment\n\nimport")
    restored.edit("workflow/scripts/train_mapper.py", "with job(", "# a comment\nwith  job(")
    assert restored.planned() == {}


def test_code_that_the_parameters_do_not_select_runs_nothing(restored):
    for name in ("clouds/sources/folder.py", "clouds/sources/modelnet40c.py"):
        restored.edit(f"{LIBRARY}/{name}", "\nimport", "\nEDITED = 1\nimport")
    path = "encoders/points/architectures/pointnet_vanilla.py"
    restored.edit(f"{LIBRARY}/{path}", "\nimport", "\nEDITED = 1\nimport")
    assert restored.planned() == {}


def test_an_edit_of_the_renderer_runs_the_renders_and_what_follows(restored):
    restored.edit(f"{LIBRARY}/render/renderer.py", "\nimport", "\nEDITED = 1\nimport")
    plan = restored.planned()
    assert {rule: plan[rule] for rule in ("render_class", "measure_speed")} == {
        "render_class": 3,
        "measure_speed": 1,
    }
    assert {
        "train_clip",
        "embed_images",
        "train_mapper",
        "summarise",
        "select_mapper",
        "draw_renders",
    } <= set(plan)
    assert not {"list_objects", "draw_manifests", "build_clouds", "train_points", "embed_points"} & set(plan)


def test_an_edit_of_the_selected_encoder_runs_what_uses_it(restored):
    path = "encoders/points/architectures/pointnet.py"
    restored.edit(f"{LIBRARY}/{path}", "\nimport", "\nEDITED = 1\nimport")
    plan = restored.planned()
    assert {"train_points", "embed_points", "train_mapper"} <= set(plan)
    assert not {"build_clouds", "render_class", "embed_images", "train_clip"} & set(plan)


def test_an_edit_of_a_table_runs_that_table(restored):
    restored.edit("workflow/scripts/tabulate_zero_shot.py", "\nwith job(", "\nEDITED = 1\nwith job(")
    assert set(restored.planned()) <= {
        "tabulate_zero_shot",
        "summarise",
        "select_mapper",
        "draw_explorer",
    }


def test_another_point_encoder_runs_what_depends_on_it(edited):
    plan = edited.planned("--config", "presets={embedded: {encoders: {points: {name: dgcnn}}}}")
    assert {"train_points", "embed_points", "train_mapper", "fit_predictors", "choose_predictor"} <= set(plan)
    assert {"evaluate_mappers", "tabulate_alignment", "summarise", "select_mapper"} <= set(plan)
    unchanged = {
        "list_objects",
        "draw_manifests",
        "build_clouds",
        "render_class",
        "measure_speed",
        "train_clip",
    }
    unchanged |= {"embed_images", "tabulate_zero_shot", "draw_renders", "draw_clouds"}
    assert not unchanged & set(plan)


def test_fine_tuning_runs_the_mappers_and_what_follows(edited):
    """`{norm}` in the path is not a wildcard of Snakemake."""
    first = edited.directory / "first"
    first.mkdir()
    for norm in ("none", "layer", "response"):
        trained = edited.directory / f"results/embedded/mappers/objects/{norm}/seed_0_last.safetensors"
        shutil.copy(trained, first / f"{norm}.safetensors")
    plan = edited.planned("--config", "mapper={init: 'first/{norm}.safetensors'}")
    assert (plan["train_mapper"], plan["choose_predictor"], plan["select_mapper"]) == (6, 1, 1)
    assert not {"fit_predictors", "embed_points", "embed_images", "render_class"} & set(plan)
