"""`pointspider corrupt`: options, listing and messages."""

import numpy as np
import pytest
from PIL import Image

from pointspider import load_cloud
from pointspider.cli.main import main


@pytest.fixture
def cloud(tmp_path):
    np.save(tmp_path / "a.npy", np.random.default_rng(0).normal(size=(100, 3)))
    return tmp_path / "a.npy"


def test_one_cloud_to_a_file_and_all_levels_to_a_directory(cloud, tmp_path):
    main(["corrupt", str(cloud), str(tmp_path / "b.npy"), "--corruption", "uniform", "--severity", "3"])
    assert np.load(tmp_path / "b.npy").shape == (100, 3)
    options = ["--corruption", "pointcloud-c", "--severity", "1,4-5", "--points", "same", "--write", "npz"]
    main(["corrupt", str(cloud), str(tmp_path / "out"), *options])
    files = list((tmp_path / "out").rglob("*.npz"))
    assert len(files) == 21
    assert {np.load(path)["points"].shape for path in files} == {(100, 3)}


def test_scans_without_a_header_are_read_by_their_format(tmp_path):
    scan = np.random.default_rng(0).normal(size=(90, 4)).astype(np.float32)
    (tmp_path / "scans").mkdir()
    scan.tofile(tmp_path / "scans/000000.bin")
    options = ["--format", "kitti", "--corruption", "uniform", "--severity", "1", "--frame", "keep"]
    main(["corrupt", str(tmp_path / "scans"), str(tmp_path / "out"), *options])
    found = load_cloud(tmp_path / "out/uniform_1/000000.ply")
    radius = np.linalg.norm(scan[:, :3] - scan[:, :3].mean(axis=0), axis=1).max()
    np.testing.assert_allclose(found.points, scan[:, :3], atol=0.011 * radius)
    np.testing.assert_array_equal(found.fields["intensity"], scan[:, 3])
    with pytest.raises(SystemExit, match="--format: 'kiti' is not a format; did you mean 'kitti'"):
        main(["corrupt", str(tmp_path / "scans"), str(tmp_path / "x"), "--format", "kiti"])


def test_a_sheet_has_a_picture_per_corruption_and_severity(cloud, tmp_path, monkeypatch):
    def draw(points, resolution, **options):
        picture = np.full((resolution, resolution, 4), 255, np.uint8)
        picture[:80] = len(points) % 256
        return picture

    monkeypatch.setattr("pointspider.render.draw.draw", draw)
    options = ["--corruption", "uniform,occlusion,pointcloud-c/dropout_global", "--severity", "1,5"]
    main(["corrupt", str(cloud), "--sheet", str(tmp_path / "a.png"), *options])
    with Image.open(tmp_path / "a.png") as image:
        sheet = np.asarray(image)
    assert sheet.shape[1:] == (4 * 160, 3)  # occlusion needs a mesh
    assert sheet[0, ::160, 0].tolist() == [100, 100, 75, 25]
    assert (sheet[160:] < 100).any()  # captions
    np.save(tmp_path / "two.npy", np.random.default_rng(0).normal(size=(2, 50, 3)))
    with pytest.raises(SystemExit, match=r"two\.npy: has 2 clouds; name one with --only"):
        main(["corrupt", str(tmp_path / "two.npy"), "--sheet", str(tmp_path / "b.png")])
    with pytest.raises(SystemExit, match=r"b\.png: cannot be written, since .*a\.npy is a file"):
        main(["corrupt", str(cloud), "--sheet", str(cloud / "b.png")])


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
