"""`--sdm conda`: each rule runs in an environment with the packages of its file in envs/, and with no others.

Conda itself is replaced by a command that installs the pip section of an environment in a clean virtual
environment. Snakemake's part is real: what it builds, activates and runs.
"""

import json
import re
import sys
from collections import defaultdict
from pathlib import Path

import pytest
import yaml

pytestmark = [pytest.mark.workflow, pytest.mark.slow]
RESULTS = "results/embedded"

CONDA = '''\
#!{python}
import pathlib, subprocess, sys, yaml
root, arguments = pathlib.Path(__file__).parents[1], sys.argv[1:]
if arguments[0] == "--version":
    print("conda 26.7.1")
elif arguments[0] == "info":
    print('{{"conda_prefix": "%s", "platform": "linux-64"}}' % root)
elif arguments[0] == "config":
    print('{{"get": {{"channel_priority": "strict"}}}}')
elif arguments[:2] == ["env", "create"]:
    file, prefix = (next(value for name, value in zip(arguments, arguments[1:]) if name in names)
                    for names in (("--file", "-f"), ("--prefix", "-p")))
    pins = yaml.safe_load(pathlib.Path(file).read_text())["dependencies"][-1]["pip"]
    requirements = pathlib.Path(prefix + ".txt")
    requirements.write_text("\\n".join(pins))
    install = ["pip", "install", "--no-deps", "--python", prefix, "--requirement", requirements]
    for command in (["venv", "--python", {python!r}, prefix], install, ["pip", "check", "--python", prefix]):
        subprocess.run([{uv!r}, *command, "--quiet"], check=True)
    (site,) = pathlib.Path(prefix).glob("lib/python3.*/site-packages")
    (site / "_audit.py").write_text(pathlib.Path(root / "audit.py").read_text())
    (site / "_audit.pth").write_text("import _audit\\n")
elif arguments[0] != "clean":
    sys.exit("conda: unexpected arguments %s" % arguments)
'''  # fmt: skip

AUDIT = '''\
import atexit, json, os, sys, uuid

def write():
    files = {name: getattr(module, "__file__", None) for name, module in list(sys.modules.items())}
    record = {"prefix": sys.prefix, "script": sys.argv[0], "files": {k: v for k, v in files.items() if v}}
    with open(os.path.join(os.environ["IMPORT_AUDIT"], uuid.uuid4().hex + ".json"), "w") as file:
        json.dump(record, file)

if os.environ.get("IMPORT_AUDIT"):
    atexit.register(write)
'''  # fmt: skip


def test_each_rule_imports_from_its_environment_only(project, rules, tmp_path_factory):
    conda, audit = tmp_path_factory.mktemp("conda"), tmp_path_factory.mktemp("audit")
    (conda / "bin").mkdir()
    program = conda / "bin/conda"
    program.write_text(CONDA.format(python=sys.executable, uv=str(Path(sys.executable).with_name("uv"))))
    program.chmod(0o755)
    (conda / "audit.py").write_text(AUDIT)
    (conda / "bin/activate").write_text('export CONDA_PREFIX="$1" PATH="$1/bin:$PATH"\n')
    environment = {
        "PATH": f"{project.environment['PATH']}:{conda}/bin",
        "IMPORT_AUDIT": str(audit),
        "CONDA_PREFIX": str(conda),
    }
    command = ("all", "pages", "--sdm", "conda")
    project.snakemake(*command, environment=environment)
    assert (project.directory / RESULTS / "tables/summary.md").exists()

    used = defaultdict(set)
    for path in audit.glob("*.json"):
        record = json.loads(path.read_text())
        match = re.search(r"\.snakemake/scripts/\w+\.(\w+)\.py$", record["script"])
        if match:
            used[match[1]].add(record["prefix"])
            foreign = {
                name: file
                for name, file in record["files"].items()
                if not allowed(name, file, record["prefix"], project.directory)
            }
            assert foreign == {}, record["script"]
    prefixes = {}
    for file in sorted((project.directory / ".snakemake/conda").glob("*.yaml")):
        name = next(env for env in ("render", "learn", "report") if file.read_text() == envs(project, env))
        prefixes[name] = str(file.with_suffix(""))
    assert set(prefixes) == {"render", "learn", "report"}
    for rule in rules.values():
        if rule.script in used:
            assert used[rule.script] == {prefixes[re.search(r"envs/(\w+)\.yaml", rule.text)[1]]}, rule.script
    assert set(used) == {rule.script for rule in rules.values() if rule.script} - NOT_RUN

    assert "Nothing to be done" in project.snakemake(*command, "--dry-run", environment=environment).stdout
    # As README says
    again = project.planned()
    assert again["render_class"] == 3
    assert (
        "software environment definition has changed"
        in project.snakemake("--dry-run", "--quiet", "host").stdout
    )


#: Scripts that download, and those of Table IV, which trains for minutes.
NOT_RUN = {"fetch", "fetch_clip", "compare_encoder", "tabulate_encoders"}


def envs(project, name: str) -> str:
    return (project.directory / f"envs/{name}.yaml").read_text()


def allowed(name: str, file: str, prefix: str, directory: Path) -> bool:
    """Whether a module is of the environment, of Python, of the project, or Snakemake's frame of a script."""
    standard = json.__file__.rpartition("/json/")[0]
    return (
        file.startswith((f"{prefix}/", f"{directory}/"))
        or (file.startswith(f"{standard}/") and "-packages/" not in file)
        or name.startswith("snakemake")  # its preamble of a script imports it from where Snakemake runs
        or not Path(file).is_absolute()  # torch.ops and torch.classes, which have no file
    )


def test_the_environments_have_the_versions_of_the_lock(root):
    lock = set(re.findall(r"^([\w.-]+==[^\s;]+)", (root / "requirements.lock").read_text(), re.MULTILINE))
    for path in sorted((root / "envs").glob("*.yaml")):
        pins = yaml.safe_load(path.read_text())["dependencies"][-1]["pip"]
        assert {pin.partition(" ;")[0] for pin in pins} <= lock, path.name
