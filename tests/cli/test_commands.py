"""The command line: rendering; search and de-duplication on a finished run."""

import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

from pointspider.cli.collection import open_collection
from pointspider.cli.main import main
from pointspider.core.errors import InputError
from pointspider.core.files import read_png, write_hdf5, write_json
from pointspider.study.cloud_files import read_clouds
from pointspider.study.config import load

pytestmark = pytest.mark.workflow


def params_of(project_path):
    return load([project_path / "params.yaml"]).model_dump()


@pytest.fixture
def project_path(finished_project):
    return finished_project.directory


def test_a_cloud_of_the_run_finds_itself(project_path, tmp_path, capsys):
    ids, points = read_clouds(project_path / "results/embedded/clouds/cone.h5", _aligned(project_path))[
        "uniform_5"
    ]
    np.save(tmp_path / "query.npy", points[0])
    collection = open_collection(project_path, params_of(project_path))
    assert collection.mapped.shape[0] == len(collection.cloud_ids) == len(set(collection.cloud_ids))
    row = collection.cloud_ids.index(ids[0])
    np.testing.assert_allclose(collection.embed(points[0])[0], collection.mapped[row], atol=1e-4)
    main(["--project", str(project_path), "search", str(tmp_path / "query.npy"), "--top", "3"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    similarities = [float(line.split()[0]) for line in lines]
    assert similarities == sorted(similarities, reverse=True)


def test_duplicates_prints_groups_of_names(project_path, capsys):
    main(["--project", str(project_path), "duplicates", "--threshold", "0.5"])
    out, err = capsys.readouterr()
    names = {name for line in out.splitlines() for name in line.split()}
    assert names <= set(open_collection(project_path, params_of(project_path)).cloud_ids)
    assert f"{len(out.splitlines())} groups among" in err


def test_bad_input_ends_with_one_line(project_path, tmp_path):
    path = tmp_path / "broken.npy"
    np.save(path, np.full((10, 3), np.inf))
    with pytest.raises(SystemExit, match=r"^pointspider: .*broken\.npy: 10 of 10 points have NaN or inf"):
        main(["--project", str(project_path), "search", str(path)])
    with pytest.raises(SystemExit, match=r"^pointspider: .*cloud\.txt: cannot be read \(No such file"):
        main(["--project", str(project_path), "search", str(tmp_path / "cloud.txt")])


def test_a_run_that_is_not_finished_is_told(project):
    with pytest.raises(SystemExit, match="holds no embeddings; run `snakemake"):
        main(["--project", str(project.directory), "duplicates"])


def test_a_mapper_that_diverged_is_not_searched_with(project):
    params = params_of(project.directory)
    results, seed = project.directory / "results/embedded", params["mapper"]["seeds"][0]
    write_hdf5(results / "embeddings/points/cone.h5", [])
    runs = [{"seed": seed + 1, "diverged_at": None}, {"seed": seed, "diverged_at": 7}]
    write_json(results / "mappers/objects/layer/runs.json", runs)
    with pytest.raises(
        InputError, match=f"mappers/objects/layer: the mapper of seed {seed} diverged at epoch 7"
    ):
        open_collection(project.directory, params)


# A run of clouds that all look alike: they are one group, told in one line.
ALIKE = """
import sys, numpy as np
from pointspider.cli.main import main as cli
names = [f"cone/uniform_5/{number:04d}" for number in range(int(sys.argv.pop()))]
cli.open_collection = lambda *_: cli.Collection(names, np.ones((len(names), 3), np.float32), None, None)
cli.main()
"""


@pytest.mark.parametrize(
    ("clouds", "told"),
    [(1000, ""), (2, "1 groups among 2 clouds\n")],
    ids=["found while writing", "found at the end"],
)
def test_a_closed_pipe_ends_it_quietly(clouds, told):
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-c", ALIKE, "--project", str(ROOT), "duplicates", str(clouds)]
    buffered = {**os.environ, "PYTHONUNBUFFERED": ""}
    child = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, env=buffered)
    os.close(writer)
    assert (child.returncode, child.stderr) == (1, told)


def _aligned(project_path):
    from pointspider.core.files import read_csv

    return set(read_csv(project_path / "results/embedded/manifests/alignment.csv")["cloud_id"])


def test_a_preset_of_ones_own_is_searched_where_it_was_written(project_path, tmp_path):
    (tmp_path / "mine.yaml").write_text("preset: paper\n")
    with pytest.raises(SystemExit, match=r"results/paper: holds no embeddings"):
        main(["--project", str(project_path), "--configfile", str(tmp_path / "mine.yaml"), "duplicates"])


# The command that renders runs in a process of its own: a process can activate one Mitsuba variant only.
def render(*arguments):
    command = [
        sys.executable,
        "-c",
        "from pointspider.cli.main import main; main()",
        "render",
        *map(str, arguments),
    ]
    return subprocess.run(command, capture_output=True, text=True)


def test_a_directory_of_clouds_is_rendered(tmp_path):
    cloud = np.random.default_rng(0).normal(size=(50, 3))
    (tmp_path / "clouds/cups").mkdir(parents=True)
    np.save(tmp_path / "clouds/a.npy", cloud)
    np.save(tmp_path / "clouds/cups/b.npy", cloud * [1, 2, 1])
    child = render(tmp_path / "clouds", tmp_path / "out", "--quality", "clip", "--resolution", "16")
    assert child.returncode == 0, child.stderr
    pictures = {
        path.relative_to(tmp_path / "out").as_posix(): read_png(path)
        for path in tmp_path.glob("out/**/*.png")
    }
    assert sorted(pictures) == ["a.png", "cups/b.png"]
    assert {picture.shape for picture in pictures.values()} == {(16, 16, 3)}
    assert (pictures["a.png"] != pictures["cups/b.png"]).any()


def test_a_cloud_that_cannot_be_rendered_ends_with_one_line_and_no_picture(tmp_path):
    np.save(tmp_path / "flat.npy", np.ones((5, 3)))
    child = render(tmp_path / "flat.npy", tmp_path / "flat.png", "--resolution", "16")
    assert child.returncode == 1
    assert "flat.npy: all of its 5 points coincide" in child.stderr
    assert not (tmp_path / "flat.png").exists()


@pytest.mark.parametrize(
    ("names", "picture", "message"),
    [
        (["a.npy"], "a.jpg", "pictures are PNG; name it"),
        ([], "out", "has no clouds; they are .h5"),
        (["a.npy", "a.ply"], "out", "differ in nothing but their extension"),
    ],
)
def test_what_is_to_be_rendered_is_checked_first(tmp_path, names, picture, message):
    for name in names:
        (tmp_path / name).touch()
    cloud = tmp_path / names[0] if picture.endswith("jpg") else tmp_path
    with pytest.raises(SystemExit, match=message):
        main(["render", str(cloud), str(tmp_path / picture)])
