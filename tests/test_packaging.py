"""Dependencies, extras, environments, and an installation that renders without torch and DVC."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = PYPROJECT["project"]["optional-dependencies"]
#: The distributions whose modules are named otherwise.
DISTRIBUTIONS = {
    "PIL": "pillow",
    "drjit": "mitsuba",
    "faiss": "faiss-cpu",
    "open_clip": "open-clip-torch",
    "pydantic_core": "pydantic",
    "sklearn": "scikit-learn",
    "markdown_it": "markdown-it-py",
    "yaml": "pyyaml",
}
#: The extras that each package may import from, beside the base. `core` reads and writes tables for `study`.
ALLOWED = {
    "core": {"study"},
    "clouds": {"meshes"},
    "render": {"render"},
    "training": {"learn"},
    "encoders": {"learn"},
    "mappers": {"learn"},
    "index": {"index", "learn"},
    "study": {"study"},
    "cli": {"learn"},
}
#: Used without an import: plugins and libraries of other packages, and commands.
PLUGINS = {
    "dvc",
    "embreex",
    "import-linter",
    "karellen-llvm-core",
    "mapbox-earcut",
    "mypy",
    "networkx",
    "pyoidn",
    "pytest-xdist",
    "ruff",
    "setuptools",
    "snakefmt",
    "snakemake",
    "snakemake-executor-plugin-slurm",
    "torchvision",
    "uv",
}


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def names(requirements: list[str]) -> set[str]:
    """The distributions that requirements name; those of PointSpider's extras in place of itself."""
    found = set()
    for requirement in requirements:
        name, extras = re.match(r"([\w.-]+)(?:\[([\w,]+)\])?", requirement).groups()
        if name == "pointspider":
            found |= names([r for extra in extras.split(",") for r in EXTRAS[extra]])
        else:
            found.add(normalized(name))
    return found


BASE = names(PYPROJECT["project"]["dependencies"])
ALL = BASE | names(EXTRAS["all"])
DEV = names(PYPROJECT["dependency-groups"]["dev"])


def imported(path: Path) -> Iterator[str]:
    """The distributions that a file imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        modules = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module]
        for module in modules:
            top = module.split(".")[0]
            if top not in sys.stdlib_module_names and not own(top):
                yield normalized(DISTRIBUTIONS.get(top, top))


def own(module: str) -> bool:
    """Whether a module is part of this repository."""
    return module == "pointspider" or (ROOT / f"benchmarks/{module}.py").exists()


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_a_package_imports_from_the_base_and_its_extras_alone(package):
    allowed = BASE | names([r for extra in ALLOWED[package] for r in EXTRAS[extra]])
    files = (ROOT / "src/pointspider" / package).rglob("*.py")
    undeclared = {(path.name, name) for path in files for name in imported(path) if name not in allowed}
    assert not undeclared


def test_every_package_has_its_extras():
    packages = {path.parent.name for path in (ROOT / "src/pointspider").glob("*/__init__.py")}
    assert packages == set(ALLOWED)


def test_every_import_is_declared_and_every_declaration_is_used():
    tops = ("src", "workflow", "benchmarks", "tests", "docs", "envs")
    used = {name for top in tops for path in (ROOT / top).rglob("*.py") for name in imported(path)}
    declared = ALL | DEV
    bundled = {"threadpoolctl", "snakemake-interface-executor-plugins"}  # with scikit-learn and Snakemake
    assert used - bundled <= declared
    stubs = {f"types-{name}" for name in used} | {f"{name}-stubs" for name in used}
    assert declared <= used | stubs | PLUGINS


def pins(lines: list[str]) -> set[tuple[str, str]]:
    return {match.groups() for line in lines if (match := re.match(r"\s*([\w.-]+)==([\w.+!-]+)", line))}


def test_the_lock_holds_every_dependency():
    locked = {normalized(name) for name, _ in pins((ROOT / "requirements.lock").read_text().splitlines())}
    assert locked >= ALL | DEV


@pytest.mark.parametrize(
    ("name", "extras"), [("report", "study"), ("render", "render,study"), ("learn", "learn,study")]
)
def test_an_environment_holds_its_extras_at_the_versions_of_the_lock(name, extras):
    environment = yaml.safe_load((ROOT / f"envs/{name}.yaml").read_text())
    requirements = environment["dependencies"][-1]["pip"]
    locked = pins((ROOT / "requirements.lock").read_text().splitlines())
    assert pins(requirements) <= locked
    held = {normalized(requirement) for requirement, _ in pins(requirements)}
    assert held >= BASE | names([f"pointspider[{extras}]"])
    assert not held & {"snakemake"}
    assert ("torch" in held) == (name == "learn")
    assert ("mitsuba" in held) == (name == "render")


@pytest.fixture(scope="module")
def renderer(tmp_path_factory) -> Path:
    """A virtual environment with a copy of `.[render]` at the versions of the lock."""
    directory = tmp_path_factory.mktemp("install")
    copy = directory / "source"
    shutil.copytree(ROOT / "src", copy / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    constraints = directory / "constraints.txt"
    lock = (ROOT / "requirements.lock").read_text().splitlines()
    constraints.write_text("\n".join(line.rstrip(" \\") for line in lock if line[:1].isalnum()))
    environment = directory / "venv"
    subprocess.run(["uv", "venv", "--quiet", "--python", sys.executable, environment], check=True)
    result = subprocess.run(
        ["uv", "pip", "install", "--quiet", "--python", environment, "-c", constraints, f"{copy}[render]"],
        capture_output=True, text=True,
    )  # fmt: skip
    if result.returncode and re.search("error sending request|dns error|[Cc]onnect", result.stderr):
        pytest.skip("no package index can be reached")
    assert result.returncode == 0, result.stderr
    return environment


def test_the_extra_render_is_light(renderer):
    packages = next(renderer.glob("lib/python*/site-packages"))
    for name in ("torch", "dvc", "snakemake", "transformers", "pandas", "scipy"):
        assert not (packages / name).exists(), name
    size = sum(path.lstat().st_blocks * 512 for path in renderer.rglob("*")) / 2**20
    assert size <= 600, f"{size:.0f} MiB"


def test_an_installation_holds_the_types_and_templates(renderer):
    packages = next(renderer.glob("lib/python*/site-packages"))
    source = ROOT / "src/pointspider"
    files = {
        path.relative_to(source) for path in source.rglob("*") if path.suffix in (".py", ".j2", ".typed")
    }
    assert not [path for path in files if not (packages / "pointspider" / path).is_file()]


def test_the_extra_render_renders(renderer, tmp_path):
    np.save(tmp_path / "cloud.npy", np.random.default_rng(0).normal(size=(128, 3)))
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [renderer / "bin/pointspider", "render", "cloud.npy", "cloud.png", "--quality", "clip"]
    result = subprocess.run(
        [*command, "--resolution", "32"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    with Image.open(tmp_path / "cloud.png") as picture:
        assert picture.size == (32, 32)
