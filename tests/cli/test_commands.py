"""Search and de-duplication on a finished run."""

import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

from pointspider.cli.collection import open_collection
from pointspider.cli.main import main
from pointspider.core.errors import InputError
from pointspider.core.files import write_hdf5, write_json
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
