"""Which files of the library a script runs: what its outputs depend on besides its inputs."""

import ast
from functools import cache
from pathlib import Path

PACKAGE = "pointspider"


@cache
def imported_files(script: Path, source: Path) -> tuple[Path, ...]:
    """The library's files that `script` imports, at its top or inside a function, directly or through others.

    Args:
        script: a Python file.
        source: the directory that holds the package.
    """
    found: set[Path] = set()
    queue = [script]
    while queue:
        for name in _imports(queue.pop()):
            parts = name.split(".")
            for depth in range(1, len(parts) + 1):  # a package runs before its modules
                path = source.joinpath(*parts[:depth])
                path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
                if path.is_file() and path not in found:
                    found.add(path)
                    queue.append(path)
    return tuple(sorted(found))


def _imports(path: Path) -> set[str]:
    """Dotted names below the package that a file imports; the last part may be a name in a module."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.split(".")[0] == PACKAGE}
