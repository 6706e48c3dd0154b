"""Digest of the code that a script runs, so that a job runs again when that code changes and only then.

The digest covers the syntax tree of the script and of every module of the package that it imports, at the
top or inside a function, directly or through other modules. Not included are comments, docstrings,
formatting, imports under `if TYPE_CHECKING`, and the package's __init__.py, a list of public names. A
registry imports modules by name at run time, which a syntax tree does not show: the caller names the
implementation that the parameters select.
"""

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

PACKAGE = "pointspider"


def code_digest(script: Path, source: Path, selected: Iterable[str] = ()) -> str:
    """Return the digest of a script, as 16 hexadecimal digits.

    Args:
        script: a Python file.
        source: the directory that contains the package.
        selected: dotted names of modules that a registry imports for this script; see `registered_modules`.
    """
    digest = hashlib.sha256(_code(script).encode())
    for path in imported_files(script, source, tuple(selected)):
        digest.update(f"\n# {path.relative_to(source)}\n{_code(path)}".encode())
    return digest.hexdigest()[:16]


@cache
def imported_files(script: Path, source: Path, selected: tuple[str, ...] = ()) -> tuple[Path, ...]:
    """Return the files of the package that a script imports, sorted; arguments as for `code_digest`.

    Raises:
        ValueError: a file has a relative import, or a selected module does not exist.
    """
    found: set[Path] = set()
    names = [*_imports(script)]
    for name in selected:
        if len(_files(name, source)) != len(name.split(".")):
            raise ValueError(f"there is no module {name} in {source}")
        names.append(name)
    while names:
        for path in _files(names.pop(), source):
            if path not in found and path != source / PACKAGE / "__init__.py":
                found.add(path)
                names.extend(_imports(path))
    return tuple(sorted(found))


def registered_modules(source: Path, package: str, names: Iterable[str]) -> list[str]:
    """Return the dotted names of the modules that register `names`, by a call of `register` or `add`.

    Args:
        source: the directory that contains the package.
        package: dotted name of the package whose modules a registry imports.
        names: names of implementations.

    Raises:
        ValueError: a name is registered by no module.
    """
    registered: dict[Any, str] = {}
    for path in source.joinpath(*package.split(".")).rglob("*.py"):
        module = ".".join(path.relative_to(source).with_suffix("").parts).removesuffix(".__init__")
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
                name = node.args[0]
                if node.func.attr in ("register", "add") and isinstance(name, ast.Constant):
                    registered[name.value] = module
    missing = set(names) - set(registered)
    if missing:
        raise ValueError(f"no module of {package} registers {', '.join(sorted(missing))}")
    return sorted({registered[name] for name in names})


def _files(name: str, source: Path) -> list[Path]:
    """Return the files that importing a dotted name runs; its last part may be a name in a module."""
    files, path = [], source
    for part in name.split("."):
        path = path / part
        file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if file.is_file():
            files.append(file)
    return files if len(files) >= len(name.split(".")) - 1 else []


@cache
def _imports(path: Path) -> frozenset[str]:
    """Return the dotted names below the package that a file imports."""
    names: set[str] = set()
    for node in _run(_tree(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError(f"{path}:{node.lineno}: relative import; name the module in full")
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(name for name in names if name.split(".")[0] == PACKAGE)


def _run(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a tree, except those under `if TYPE_CHECKING`."""
    yield node
    for child in ast.iter_child_nodes(node):
        if (
            isinstance(child, ast.If)
            and isinstance(child.test, ast.Name)
            and child.test.id == "TYPE_CHECKING"
        ):
            continue
        yield from _run(child)


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@cache
def _code(path: Path) -> str:
    """Return the code of a file without comments, docstrings and formatting."""
    tree = _tree(path)  # docstrings import nothing, so the cached tree can lose them
    for node in ast.walk(tree):
        for field in ("body", "orelse", "finalbody"):
            statements = getattr(node, field, None)
            if isinstance(statements, list):
                setattr(node, field, [statement for statement in statements if not _is_text(statement)])
    return ast.unparse(tree)


def _is_text(statement: ast.AST) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
