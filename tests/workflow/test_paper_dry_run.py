"""What the paper preset still has to fetch; nothing is fetched."""

import importlib.util

import pytest
from conftest import ROOT

from pointspider.study.config import load
from pointspider.study.remote import read_remotes

REMOTES = read_remotes(ROOT / "data/sources.csv")


@pytest.fixture
def dry_run(tmp_path, monkeypatch):
    """benchmarks/paper_dry_run.py on a machine that holds nothing."""
    path = ROOT / "benchmarks/paper_dry_run.py"
    spec = importlib.util.spec_from_file_location("paper_dry_run", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return module


@pytest.fixture
def paper() -> dict:
    return load([ROOT / "params.yaml"], {"preset": "paper"}).model_dump()


def test_unknown_sizes_are_told(dry_run, paper, capsys):
    dry_run.print_downloads(paper, REMOTES)
    printed = capsys.readouterr().out
    assert "1.97 GB  modelnet40_c\n" in printed
    assert "unknown  modelnet40_points\n" in printed
    sizes = [row.bytes or 0 for row in REMOTES.values() if row.name != "modelnet40_meshes"]
    assert (
        f"{sum(sizes) / 1e9:.2f} GB  in all, without modelnet40_points, laion/CLIP-ViT-L-14-DataComp"
        in printed
    )


def test_what_is_here_is_not_fetched(dry_run, paper, tmp_path, capsys):
    (tmp_path / "data/modelnet40_c").mkdir(parents=True)
    model = REMOTES["openai/clip-vit-base-patch32"]
    snapshot = tmp_path / "hub/models--openai--clip-vit-base-patch32/snapshots" / model.version
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").touch()
    assert not dry_run.is_here(model)  # without its weights
    (snapshot / "pytorch_model.bin").touch()
    dry_run.print_downloads(paper, REMOTES)
    printed = capsys.readouterr().out
    assert "is here  modelnet40_c\n" in printed
    assert "is here  openai/clip-vit-base-patch32\n" in printed


def test_generating_needs_points_and_meshes(dry_run, paper):
    paper["clouds"] |= {"source": "generate", "directory": "data"}
    paper["encoders"]["points"] = {"name": "pointnet", "checkpoint": "modelnet40_c_pointnet"}
    wanted = {name for name, row in REMOTES.items() if dry_run.is_needed(row, paper) and row.path}
    assert wanted == {"modelnet40_points", "modelnet40_meshes", "modelnet40_c_pointnet"}


def test_a_clip_of_ones_own_is_not_reckoned(dry_run, paper, monkeypatch, capsys):
    paper["encoders"]["images"]["clip-vit-base-patch32"]["weights"] = "mine"
    monkeypatch.setattr(dry_run, "flop_per_second", lambda device: 1e12)
    monkeypatch.setattr(dry_run, "seconds_per_picture", lambda params: 0.5)
    dry_run.print_hours(paper)
    printed = capsys.readouterr().out
    assert "unknown    embed pictures with mine" in printed
    assert f"{dry_run.count_pictures(paper) / 7200:.1f} h  render" in printed
