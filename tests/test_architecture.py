"""The direction of imports."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
HEAVY = {"drjit", "mitsuba", "numpy", "open_clip", "pandas", "pydantic", "scipy", "torch", "transformers"}


def test_imports_run_one_way():
    """The contracts are in pyproject.toml, [tool.importlinter]."""
    result = subprocess.run(["lint-imports", "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


def test_no_module_imports_relatively():
    for path in (ROOT / "src").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert not [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level], path


def test_no_imports_are_circular():
    """Also of imports in functions. The error names the modules of a circle."""
    source = ROOT / "src"
    modules = {
        ".".join(path.relative_to(source).with_suffix("").parts).removesuffix(".__init__"): path
        for path in (source / "pointspider").rglob("*.py")
    }
    graph = {
        name: {
            inner if inner in modules else node.module
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.ImportFrom)
            for inner in (f"{node.module}.{alias.name}" for alias in node.names)
        }
        for name, path in modules.items()
    }
    TopologicalSorter(graph).prepare()


def test_importing_the_package_is_instant():
    code = (
        "import sys, time; start = time.process_time(); import pointspider\n"
        f"print(time.process_time() - start, sorted(set(sys.modules) & {HEAVY!r}))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, _, heavy = result.stdout.strip().partition(" ")
    assert float(seconds) < 0.2
    assert heavy == "[]"
