"""`pointspider corrupt`: options, listing and messages."""

import numpy as np
import pytest

from pointspider.cli.main import main


@pytest.fixture
def cloud(tmp_path):
    np.save(tmp_path / "a.npy", np.random.default_rng(0).normal(size=(100, 3)))
    return tmp_path / "a.npy"


def test_one_cloud_to_a_file_and_all_levels_to_a_directory(cloud, tmp_path):
    main(["corrupt", str(cloud), str(tmp_path / "b.npy"), "--corruption", "uniform", "--severity", "3"])
    assert np.load(tmp_path / "b.npy").shape == (100, 3)
    options = ["--corruption", "pointcloud-c", "--severity", "1,4-5", "--points", "same", "--format", "npz"]
    main(["corrupt", str(cloud), str(tmp_path / "out"), *options])
    files = list((tmp_path / "out").rglob("*.npz"))
    assert len(files) == 21
    assert {np.load(path)["points"].shape for path in files} == {(100, 3)}


def test_the_list_has_every_corruption_with_its_constants(capsys):
    main(["corrupt", "--list"])
    printed = capsys.readouterr().out
    assert "modelnet40-c: github.com/jiachens/ModelNet40-C" in printed
    assert "pointcloud-c/jitter" in printed
    assert "0.01, 0.015, 0.02, 0.025, 0.03" in printed
    assert printed.count("Severities:") == 25


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--severity", "x"], "--severity: 'x'; give 3, 1,3,5 or 1-5"),
        (["--severity", "5-1"], "--severity: '5-1' is empty"),
        (["--severity", "9", "--corruption", "uniform"], "9 is not a severity of 'uniform'"),
        (["--points", "0"], "--points: '0'; give keep, same, or a number"),
        (["--points", "-3"], "--points: '-3'; give keep, same, or a number"),
        (["--seed", "-1"], "--seed: -1; give 0 or more"),
        (["--processes", "-2"], "--processes: -2; give 1 or more"),
        (["--corruption", "nois"], "'nois' is not a corruption"),
        (["--sheet", "x.jpg"], "pictures are PNG"),
    ],
)
def test_bad_options_end_with_one_line(cloud, tmp_path, options, message):
    with pytest.raises(SystemExit, match=f"^pointspider: .*{message}"):
        main(["corrupt", str(cloud), str(tmp_path / "out"), *options])
    assert not (tmp_path / "out").exists()


def test_missing_arguments_and_missing_results(cloud, tmp_path):
    with pytest.raises(SystemExit, match="give an input and an output, or --list"):
        main(["corrupt"])
    options = ["--corruption", "uniform,occlusion", "--severity", "1"]
    with pytest.raises(SystemExit, match=r"1 results are missing; .*manifest\.json says why"):
        main(["corrupt", str(cloud), str(tmp_path / "out"), *options])
    assert (tmp_path / "out/uniform_1/a.npy").exists()
