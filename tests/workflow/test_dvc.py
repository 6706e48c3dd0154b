"""The workflow under DVC: stages and experiments."""

import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from pointspider.core.files import read_csv, read_png

pytestmark = pytest.mark.workflow
RESULTS = "results/embedded"
RENDERS = f"{RESULTS}/renders"


@pytest.fixture(scope="module")
def reproduced(finished_project, tmp_path_factory):
    """A clone of the finished project after `dvc repro`, committed."""
    project = type(finished_project)(tmp_path_factory.mktemp("dvc") / "clone")
    finished_project.run("git", "clone", "--quiet", ".", str(project.directory))
    project.run("git", "config", "user.name", "test")
    project.run("git", "config", "user.email", "test@localhost")
    project.run("dvc", "repro", "--quiet")
    assert project.run("git", "status", "--porcelain").stdout == "?? dvc.lock\n"
    assert project.run("git", "ls-files", "results").stdout == ""
    project.commit()
    return project


def hashes(directory) -> dict[str, str]:
    """{path: SHA-256} of every file below a directory."""
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def test_stages_write_the_bytes_of_a_plain_run(finished_project, reproduced):
    """Except measurements of the speed."""
    first, second = hashes(finished_project.directory / RESULTS), hashes(reproduced.directory / RESULTS)
    assert set(first) == set(second)
    assert {name for name in first if first[name] != second[name] and not name.startswith("speed")} == set()


def sizes(project):
    return {read_png(path).shape[0] for path in (project.directory / RENDERS).rglob("*.png")}


def test_reproducing_again_runs_nothing(reproduced):
    assert "Data and pipelines are up to date." in reproduced.run("dvc", "repro").stdout
    metrics = json.loads(reproduced.run("dvc", "metrics", "show", "--json").stdout)
    assert metrics[""]["data"]["results/embedded/metrics.json"]["data"]["mapper"] == "LNORM"


def jobs(output: str) -> Counter[str]:
    """How often each message of a job is in the output of Snakemake, without names of classes."""
    messages = re.findall(r"^Job \d+: (.+)$", output, re.MULTILINE)
    return Counter(re.sub(r" of (chair|cone|table)$", " of a class", message) for message in messages)


def restore(project) -> None:
    project.run("git", "checkout", "--quiet", ".")
    project.run("dvc", "checkout", "--quiet")


def test_selecting_another_mapper_reruns_no_render_and_no_embedding(reproduced):
    output = reproduced.run("dvc", "exp", "run", "-S", "mapper.norm=none", "--name", "base").stdout
    for stage in ("data", "points", "render", "images", "map"):
        assert f"Stage '{stage}' didn't change, skipping" in output
    assert jobs(output) == {"write the metrics of the mapper with norm 'none'": 1}
    metrics = json.loads((reproduced.directory / "results/embedded/metrics.json").read_text())
    assert metrics["mapper"] == "BASE"
    shown = json.loads(reproduced.run("dvc", "exp", "show", "--json").stdout)
    assert [exp["name"] for head in shown for exp in head["experiments"] or []] == ["base"]
    diff = json.loads(reproduced.run("dvc", "exp", "diff", "HEAD", "base", "--json").stdout)
    assert diff["params"]["params.yaml"] == {"mapper.norm": {"old": "layer", "new": "none"}}
    assert diff["metrics"]["results/embedded/metrics.json"]["mapper"]["new"] == "BASE"
    restore(reproduced)


@pytest.mark.slow
def test_another_point_encoder_trains_no_clip_and_renders_nothing(reproduced):
    output = reproduced.run("dvc", "exp", "run", "-S", "presets.embedded.encoders.points.name=dgcnn").stdout
    for stage in ("data", "render", "speed", "images"):
        assert f"Stage '{stage}' didn't change, skipping" in output
    assert {"train dgcnn": 1, "embed the clouds with dgcnn": 1}.items() <= jobs(output).items()
    assert not [job for job in jobs(output) if "tiny-clip" in job or job.startswith(("render", "build"))]
    metrics = json.loads((reproduced.directory / RESULTS / "encoders/points/dgcnn/metrics.json").read_text())
    assert metrics["n"] == 4
    restore(reproduced)


def test_no_experiment_uses_the_renders_of_another(reproduced):
    """Snakemake stores no hashes of outputs: deleted outputs and --allowed-rules separate experiments."""
    resolution, corruptions = "presets.embedded.render.resolution", "clouds.corruptions"
    assert sizes(reproduced) == {32}
    output = reproduced.run("dvc", "exp", "run", "-S", f"{resolution}=48", "render").stdout
    assert jobs(output) == {"render the clouds of a class": 3}
    assert sizes(reproduced) == {48}
    restore(reproduced)
    assert sizes(reproduced) == {32}
    changed = f"{corruptions}=[uniform,occlusion,shear]"
    output = reproduced.run("dvc", "exp", "run", "-S", changed, "render").stdout
    data = ["list the objects of the source 'procedural'", "draw the clouds to align, evaluate and train on"]
    data += ["build the clouds of every class"]
    assert jobs(output) == {"render the clouds of a class": 3} | dict.fromkeys(data, 1)
    assert sizes(reproduced) == {32}
    drawn = read_csv(reproduced.directory / "results/embedded/manifests/alignment.csv")
    assert "shear" in set(drawn["corruption"])
    found = {
        str(p.relative_to(reproduced.directory / RENDERS).with_suffix(""))
        for p in (reproduced.directory / RENDERS).rglob("*.png")
    }
    assert set(drawn["cloud_id"]) <= found
    restore(reproduced)


def test_an_experiment_needs_a_commit(project):
    result = project.run("dvc", "exp", "run", check=False)
    assert result.returncode != 0
    assert "Empty git repo" in result.stdout
    assert not (project.directory / "results").exists()


#: Jobs of the stage `tables`: Table I is tabulated, and not measured again.
TABLES = {
    "draw the contact sheet of renders": 1,
    "draw the contact sheets of clouds": 1,
    "draw the page to explore": 1,
    "evaluate the mappers and the baselines, split by classes": 1,
    "evaluate the mappers and the baselines, split by objects": 1,
    "measure the search by renders, point features and mapped clouds": 1,
    "time the paths of Table V, alone on the machine": 1,
    "write Table I": 1,
    "write Table II": 1,
    "write Table III": 1,
    "write Table V": 1,
    "write the times of Table V": 1,
    "write the summary": 1,
}
SELECT = {"write the metrics of the mapper with norm 'layer'": 1}


#: Experiments outside of the workspace: values of zero_shot.top. DVC caches runs, so no two are equal.
OUTSIDE = {"--temp": {"third": "[1,2,3]"}, "--queue": {"first": "[1,2]", "second": "[1]"}}


@pytest.mark.slow
@pytest.mark.parametrize("mode", OUTSIDE)
def test_experiments_outside_of_the_workspace_run_their_stages_only(reproduced, mode):
    """Modification times are wrong there, and two workers run two experiments at a time."""
    names = list(OUTSIDE[mode])
    for name, top in OUTSIDE[mode].items():
        output = reproduced.run(
            "dvc", "exp", "run", mode, "-S", f"zero_shot.top={top}", "--name", name
        ).stdout
    if mode == "--queue":
        reproduced.run("dvc", "queue", "start", "--jobs", "2")
        wait_for_queue(reproduced, names)
    for name in names:
        if mode == "--queue":
            output = reproduced.run("dvc", "queue", "logs", name).stdout
        assert jobs(output) == TABLES | SELECT
    assert reproduced.run("git", "status", "--porcelain").stdout == ""
    reproduced.run("dvc", "exp", "apply", names[0])
    assert "speed.csv" not in reproduced.run("dvc", "status").stdout
    table = read_csv(reproduced.directory / RESULTS / "tables/table2.csv")
    assert {"top1", "top2"} <= set(table.columns)
    assert "Data and pipelines are up to date." in reproduced.run("dvc", "repro").stdout
    plots = json.loads(reproduced.run("dvc", "plots", "diff", "HEAD", names[0], "--json").stdout)
    losses = plots["data"]["test loss"][0]["content"]["data"]["values"]
    assert {row["rev"] for row in losses if row["test_l1"]} == {"HEAD", names[0]}
    restore(reproduced)


def wait_for_queue(project, names, seconds=1800):
    deadline = time.monotonic() + seconds
    while (status := project.run("dvc", "queue", "status").stdout).count("Success") < len(names):
        logs = [project.run("dvc", "queue", "logs", name, check=False).stdout for name in names]
        assert "Failed" not in status, "\n".join([status, *logs])
        assert time.monotonic() < deadline
        time.sleep(2)


@pytest.fixture
def ssh_server(tmp_path):
    """An SSH server on loopback that accepts one key; its URL, and the file of the key."""
    server = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if server is None or os.geteuid():
        pytest.skip("needs sshd and root")
    for name in ("host", "id"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)], check=True
        )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        "ListenAddress": "127.0.0.1", "Port": port, "HostKey": tmp_path / "host", "StrictModes": "no",
        "AuthorizedKeysFile": tmp_path / "id.pub", "PasswordAuthentication": "no", "UsePAM": "no",
        "PermitRootLogin": "prohibit-password", "Subsystem": "sftp internal-sftp",
    }  # fmt: skip
    (tmp_path / "sshd_config").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    Path("/run/sshd").mkdir(exist_ok=True)
    process = subprocess.Popen([server, "-D", "-f", str(tmp_path / "sshd_config")])
    yield f"ssh://root@127.0.0.1:{port}", tmp_path / "id"
    process.terminate()
    process.wait()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["directory", "ssh"])
def test_a_clone_gets_the_results_from_a_remote(reproduced, tmp_path, request, kind):
    """`make sync`: after `dvc pull`, Snakemake has nothing to do."""
    url, remote = str(tmp_path / "remote"), ["dvc", "remote"]
    if kind == "ssh":
        server, key = request.getfixturevalue("ssh_server")
        url = server + url
    reproduced.run(*remote, "add", "--quiet", "--force", "--default", kind, url)
    if kind == "ssh":
        reproduced.run(*remote, "modify", kind, "keyfile", str(key))
    reproduced.commit()
    reproduced.run("dvc", "push", "--quiet")
    assert "Everything is up to date" in reproduced.run("dvc", "push").stdout
    clone = type(reproduced)(tmp_path / "clone")
    reproduced.run("git", "clone", "--quiet", ".", str(clone.directory))
    clone.run("make", "sync", "INSTALLED=")
    assert clone.planned() == {}
    assert "Data and pipelines are up to date." in clone.run("dvc", "repro").stdout
    assert clone.run("git", "status", "--porcelain").stdout == ""
    first, second = hashes(reproduced.directory / RESULTS), hashes(clone.directory / RESULTS)
    assert {name for name in first if first[name] != second.get(name)} <= {
        name for name in first if ".snakemake_timestamp" in name
    }
