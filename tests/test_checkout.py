"""How the repository arrives on a machine: with which Python, with which ends of lines, and what CI runs."""

import re
import shutil
import subprocess
import sys

import yaml

#: Stands for a Python that is too old.
OLD_PYTHON = """#!{python}
import sys
sys.version_info, sys.version = (3, 10, 4), "3.10.4 (main)"
exec(sys.argv[2])
"""


def test_an_old_python_is_refused_in_one_sentence(root, tmp_path):
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy(root / name, tmp_path)
    old = tmp_path / "python3.10"
    old.write_text(OLD_PYTHON.format(python=sys.executable))
    old.chmod(0o755)
    result = subprocess.run(["make", "tables", f"PYTHON={old}"], cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode != 0
    assert (
        f"PointSpider needs Python 3.11 or newer, and {old} is 3.10.4: set PYTHON=python3.x" in result.stderr
    )
    assert not (tmp_path / ".venv").exists()


def test_lines_end_in_lf_where_git_writes_crlf(root, tmp_path):
    source, clone = tmp_path / "source", tmp_path / "clone"
    source.mkdir()
    for name in (".gitattributes", "Makefile", "data/sources.csv"):
        (source / name).parent.mkdir(exist_ok=True)
        shutil.copy(root / name, source / name)
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost"]
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "state"]):
        subprocess.run([*git, *command], cwd=source, check=True)
    crlf = ["-c", "core.autocrlf=true", "-c", "core.eol=crlf"]
    subprocess.run(["git", *crlf, "clone", "--quiet", source, clone], check=True)
    for name in ("Makefile", "data/sources.csv"):
        assert (clone / name).read_bytes() == (root / name).read_bytes()


def test_no_profile_needs_conda(root):
    for path in (root / "profiles").glob("*/*.yaml"):
        profile = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert not {"use-conda", "sdm", "software-deployment-method"} & set(profile), path


#: What jobs may run besides `.ci/run` and targets of `make`.
OTHER_COMMANDS = [
    "brew install llvm@19",
    "git diff --exit-code",
    "make .venv/.installed",
    'test "$(wc -c < results/embedded/report.html)" -le 15000000',
    ".venv/bin/pytest tests/core tests/clouds tests/render tests/encoders tests/mappers tests/index",
]


def test_github_actions_run_the_commands_that_are_run_here(root):
    """Jobs run `.ci/run` or targets of `make`, and little else."""
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    for name in ("ci", "audit"):
        jobs = yaml.safe_load((root / f".github/workflows/{name}.yaml").read_text(encoding="utf-8"))["jobs"]
        for job, content in jobs.items():
            for command in (step["run"] for step in content["steps"] if "run" in step):
                pattern = r"(?:sudo --preserve-env=PATH,CI )?(?:\.ci/run|make)(?: (\S+))?(?: INSTALLED=)?"
                match = re.fullmatch(pattern, command)
                known = match and f"\n{match[1] or 'test'}:" in makefile
                assert known or command in OTHER_COMMANDS, f"{job}: {command}"
