"""`make paper-dry-run`: downloads and times of the paper preset; nothing is fetched."""

import importlib.util

import pytest

from pointspider.study.config import load
from pointspider.study.remote import read_remotes


@pytest.fixture(scope="module")
def remotes(root):
    return read_remotes(root / "data/sources.csv")


@pytest.fixture
def dry_run(root, tmp_path, monkeypatch):
    """benchmarks/paper_dry_run.py on a machine without data."""
    path = root / "benchmarks/paper_dry_run.py"
    spec = importlib.util.spec_from_file_location("paper_dry_run", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return module


@pytest.fixture
def paper(root) -> dict:
    return load([root / "params.yaml"], {"preset": "paper"}).model_dump()


def test_unknown_sizes_are_reported(dry_run, remotes, paper, capsys):
    dry_run.print_downloads(paper, remotes)
    printed = capsys.readouterr().out
    assert "1.97 GB  modelnet40_c\n" in printed
    assert "unknown  modelnet40_points\n" in printed
    sizes = [row.bytes or 0 for row in remotes.values() if dry_run.is_needed(row, paper)]
    assert (
        f"{sum(sizes) / 1e9:.2f} GB  in total, without modelnet40_points, laion/CLIP-ViT-L-14-DataComp"
        in printed
    )


def test_existing_files_are_not_fetched(dry_run, remotes, paper, tmp_path, capsys):
    (tmp_path / "data/modelnet40_c").mkdir(parents=True)
    model = remotes["openai/clip-vit-base-patch32"]
    snapshot = tmp_path / "hub/models--openai--clip-vit-base-patch32/snapshots" / model.version
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").touch()
    assert not dry_run.is_here(model)  # without its weights
    (snapshot / "pytorch_model.bin").touch()
    dry_run.print_downloads(paper, remotes)
    printed = capsys.readouterr().out
    assert "is here  modelnet40_c\n" in printed
    assert "is here  openai/clip-vit-base-patch32\n" in printed


def test_generating_needs_points_and_meshes(dry_run, remotes, paper):
    paper["clouds"] |= {"source": "generate", "directory": "data"}
    paper["encoders"]["points"] = {"name": "pointnet", "checkpoint": "modelnet40_c_pointnet"}
    wanted = {name for name, row in remotes.items() if dry_run.is_needed(row, paper) and row.path}
    assert wanted == {"modelnet40_points", "modelnet40_meshes", "modelnet40_c_pointnet"}


def test_the_time_of_a_user_clip_is_unknown(dry_run, paper, monkeypatch, capsys):
    paper["encoders"]["images"]["clip-vit-base-patch32"]["weights"] = "mine"
    monkeypatch.setattr(dry_run, "flop_per_second", lambda device: 1e12)
    monkeypatch.setattr(dry_run, "seconds_per_picture", lambda params: 0.5)
    dry_run.print_hours(paper)
    printed = capsys.readouterr().out
    assert "unknown    embed pictures with mine" in printed
    assert f"{dry_run.count_pictures(paper) / 7200:.1f} h  render" in printed
