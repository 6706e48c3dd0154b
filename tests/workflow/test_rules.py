"""The rules and stages as text: phases, dependencies, resources, and what Snakemake's lint finds."""

import ast
import re
import subprocess
import sys

import pytest
import yaml

from pointspider.study.code_digest import imported_files

#: Rules that run longer than a minute or use more than a little memory with the preset `paper`.
HEAVY = ("build_clouds", "render_class", "measure_speed", "train_points", "train_clip", "embed_points")
HEAVY += ("embed_images", "train_mapper", "evaluate_mappers")


def test_every_rule_passes_lint(root):
    result = subprocess.run(["snakemake", "--lint"], cwd=root, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


def test_every_file_of_rules_is_short_and_says_what_it_does(root):
    for path in sorted((root / "workflow/rules").glob("*.smk")):
        lines = path.read_text().splitlines()
        assert len(lines) < 130, path.name
        comments = "\n".join(lines[: lines.index("")])
        headings = ["INPUTS", "OUTPUTS"] if path.name == "common.smk" else ["INPUTS", "OUTPUTS", "STEPS"]
        assert re.findall(r"^# ([A-Z]{5,}) ", comments, re.M) == headings, path.name


def test_every_rule_is_in_a_stage(rules, stages):
    # The report shows a run. Table IV is not part of it
    apart = ("report.smk", "table4.smk", "table4_encoders.smk")
    phases = {name for name, rule in rules.items() if rule.file not in apart}
    assert phases == {rule for stage in stages.values() for rule in stage.rules}


def test_no_rule_refers_to_a_rule_of_another_stage(rules, stages):
    """Snakemake follows `rules.X.output` even where --allowed-rules excludes X."""
    for stage, (allowed, *_) in stages.items():
        for name in allowed:
            referred = set(re.findall(r"\brules\.(\w+)\.", rules[name].text))
            assert referred <= set(allowed), f"{stage}: {name} refers to {referred - set(allowed)}"


def test_every_rule_depends_on_the_code_of_its_script(rules):
    for name, rule in rules.items():
        if rule.script:
            assert re.search(rf'\bcode=(lambda wildcards: )?code\(\s*"{rule.script}"', rule.text), name


def test_heavy_rules_declare_resources_and_are_benchmarked(rules):
    for name in HEAVY:
        for text in ("    benchmark:\n", "mem_mb=", "runtime="):
            assert text in rules[name].text, f"{name}: {text.strip()}"


def test_every_rule_has_a_message(rules):
    """The profile prints messages instead of the lists of files."""
    assert all("    message:\n" in rule.text for rule in rules.values() if rule.script)


def test_dependencies_of_stages_exist_or_are_outputs_of_earlier_stages(root, stages):
    earlier: set[str] = set()
    for name, stage in stages.items():
        assert stage.outs, name
        for path in stage.deps:
            if path.startswith("results/"):
                assert any(path == out or path.startswith(f"{out}/") for out in earlier), (name, path)
            else:
                assert (root / path).exists(), (name, path)
        earlier |= set(stage.outs)
    text = (root / "dvc.yaml").read_text()
    assert not re.search(r"^\s*persist:", text, re.M)
    assert len(text.splitlines()) <= 200


def test_a_stage_depends_on_the_code_of_its_rules(root, rules, stages):
    missing, not_needed = set(), set()
    for name, stage in stages.items():
        needed, library = {"workflow/rules/common.smk"}, set()
        for rule in map(rules.get, stage.rules):
            needed.add(f"workflow/rules/{rule.file}")
            if re.search(r"sources\.csv|REMOTES", rule.text):
                needed.add("data/sources.csv")
            if rule.script:
                script = root / f"workflow/scripts/{rule.script}.py"
                needed.add(str(script.relative_to(root)))
                library |= {str(path.relative_to(root)) for path in imported_files(script, root / "src")}
        covered = {path: [dep for dep in stage.deps if is_below(path, dep)] for path in needed | library}
        missing |= {(name, path) for path, deps in covered.items() if not deps and has_code(root / path)}
        used = {dep for deps in covered.values() for dep in deps}
        not_needed |= {
            (name, dep) for dep in stage.deps if dep not in used and not dep.startswith("results/")
        }
    assert (missing, not_needed) == (set(), set())


def is_below(path: str, dependency: str) -> bool:
    return path == dependency or path.startswith(f"{dependency}/")


def has_code(path) -> bool:
    """Whether a file is more than a docstring."""
    return path.suffix != ".py" or len(ast.parse(path.read_text()).body) > 1


def test_slurm_gets_few_jobs(project, count_submissions):
    """Of the preset `embedded` with its 40 classes, whose rules run 73 jobs."""
    project.change(
        {
            "presets.embedded.clouds.classes": "all",
            "presets.embedded.alignment.split": {"train": 120, "test": 40},
            "presets.embedded.alignment.held_out_classes": 10,
        }
    )
    assert 20 <= count_submissions(project) <= 30
    # An array of fewer jobs than are ready is never submitted (snakemake-executor-plugin-slurm 2.8.0)
    profile = yaml.safe_load((project.directory / "profiles/slurm/config.yaml").read_text())
    assert "slurm-array-jobs" not in profile


def test_both_images_are_built_by_the_same_steps(root):
    """From files that exist, the lock among them."""
    docker, apptainer = (
        re.sub(r"\s*\\\n\s*&&|\s&&", "\n", (root / f"envs/{name}").read_text())
        for name in ("Dockerfile", "apptainer.def")
    )
    steps = re.findall(r"^\s*(?:RUN )?((?:apt-get|make|rm) .*)$", docker, re.MULTILINE)
    assert [step.strip() for step in steps] == [
        step.strip() for step in re.findall(r"^    ((?:apt-get|make|rm) .*)$", apptainer, re.MULTILINE)
    ]
    assert any("make .venv/.installed" in step for step in steps)
    copied = {name for line in re.findall(r"^COPY (.*) \S+$", docker, re.MULTILINE) for name in line.split()}
    assert copied == set(re.findall(r"^    (\S+) /opt/pointspider/\1$", apptainer, re.MULTILINE))
    assert "requirements.lock" in copied
    assert all((root / name).exists() for name in copied)
    # Snakemake needs a user name and a folder for its cache, which --user of Docker does not give
    assert {"USER=user", "XDG_CACHE_HOME=/tmp/cache"} <= set(
        re.search(r"^ENV (.*)$", docker, re.MULTILINE)[1].split()
    )


def conda_pins(path) -> list[str]:
    entries = yaml.safe_load(path.read_text())["dependencies"]
    return next(entry["pip"] for entry in entries if isinstance(entry, dict))


IMPORT_CHECK = """
import importlib.metadata as metadata, re, sys
allowed, statements = {re.sub("[-_.]+", "-", pin).lower() for pin in sys.argv[1].split()}, sys.argv[2]
owners = metadata.packages_distributions()
class Environment:
    def __init__(self, finder):
        self.finder = finder
    def __getattr__(self, name):
        return getattr(self.finder, name)
    def find_spec(self, module, path=None, target=None):
        dists = {re.sub("[-_.]+", "-", d).lower() for d in owners.get(module.split(".")[0], ())}
        if dists and not dists & (allowed | {"pointspider"}):
            return None  # as if it were not installed
        return self.finder.find_spec(module, path, target)
sys.meta_path = [Environment(finder) for finder in sys.meta_path]
exec(statements)
"""


@pytest.mark.parametrize("environment", ["render", "learn", "report"])
def test_a_conda_environment_contains_what_its_scripts_import(root, rules, environment):
    scripts = [rule.script for rule in rules.values() if f"envs/{environment}.yaml" in rule.text]
    assert len(scripts) >= 2
    statements = []
    for name in scripts:
        tree = ast.parse((root / f"workflow/scripts/{name}.py").read_text())
        statements += [
            ast.unparse(node) for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)
        ]
    if environment == "report":  # imported where they are used
        statements += ["import embreex, mapbox_earcut, shapely", "import pointspider.study.fetch"]
        statements += ["from pointspider.clouds.sources import folder, modelnet40, modelnet40c, procedural"]
    names = " ".join(re.split("[= ]", pin)[0] for pin in conda_pins(root / f"envs/{environment}.yaml"))
    command = [sys.executable, "-c", IMPORT_CHECK, names, "\n".join(statements)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]


def test_single_files_of_stages_are_small(stages):
    """`dvc commit` renews their times; Snakemake compares checksums then, but only below a megabyte."""
    files = {out.rpartition("/")[2] for stage in stages.values() for out in stage.outs}
    assert {name for name in files if "." in name} == {
        "objects.csv", "speed.csv", "speed.json", "metrics.json", "explorer.html",
    }  # fmt: skip
