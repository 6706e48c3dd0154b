"""The digest of the code that a script runs."""

import pytest

from pointspider.study.code_digest import code_digest, imported_files, registered_modules


@pytest.fixture
def write(tmp_path):
    """Write files of a small package, below src/pointspider, and of a script that imports it."""

    def write(script: str, **modules: str):
        package = tmp_path / "src/pointspider"
        for name, text in {"__init__": "", **modules}.items():
            path = package.joinpath(*name.split("__", 1)) if name != "__init__" else package / "__init__"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.with_suffix(".py").write_text(text)
            (path.parent / "__init__.py").touch()
        (tmp_path / "script.py").write_text(script)
        return tmp_path / "script.py", tmp_path / "src"

    return write


def digest(write, *selected, **files):
    imported_files.cache_clear()
    from pointspider.study import code_digest as module

    for cached in (module._imports, module._tree, module._code):
        cached.cache_clear()
    return code_digest(*write(**files), selected)


FILES = {
    "script": '"""A script."""\nfrom pointspider.a import f\nf(1)\n',
    "a": 'def f(x):\n    """Double x."""\n    from pointspider.b import two\n\n    return two * x\n',
    "b": "two = 2\n",
    "c": "three = 3\n",
}


@pytest.mark.parametrize(
    ("changes", "is_equal"),
    [
        ({"script": FILES["script"].replace("A script", "Another") + "# a comment\n"}, True),
        (
            {
                "a": FILES["a"]
                .replace("Double x.", "Multiply x by two.")
                .replace("two * x", "(two * x)  # twice")
            },
            True,
        ),
        ({"c": "three = 4\n"}, True),  # not imported
        ({"a": FILES["a"].replace("two * x", "x * two")}, False),
        ({"b": "two = 3\n"}, False),  # imported by a function of another module
        ({"script": FILES["script"].replace("f(1)", "f(2)")}, False),
    ],
    ids=["comment", "docstring", "another module", "code", "imported module", "script"],
)
def test_the_digest_changes_with_code_that_runs(write, changes, is_equal):
    before = digest(write, **FILES)
    assert (digest(write, **FILES | changes) == before) is is_equal


def test_a_selected_module_counts(write):
    before = digest(write, "pointspider.c", **FILES)
    assert before != digest(write, **FILES)
    assert before != digest(write, "pointspider.c", **FILES | {"c": "three = 4\n"})
    with pytest.raises(ValueError, match=r"no module pointspider\.d"):
        digest(write, "pointspider.d", **FILES)


def test_imports_for_types_do_not_count(write):
    text = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from pointspider.c import three\n"
    script, source = write(**FILES | {"a": text + FILES["a"]})
    assert [path.name for path in imported_files(script, source)] == ["a.py", "b.py"]


def test_a_relative_import_is_an_error(write):
    with pytest.raises(ValueError, match=r"a\.py:1: relative import"):
        digest(write, **FILES | {"a": "from .b import two\n"})


def test_the_module_that_registers_a_name_is_found(write):
    modules = {
        "kinds__one": '@KINDS.register("one")\nclass One:\n    pass\n',
        "kinds__two": 'KINDS.add("two", 2)\n',
    }
    _, source = write("", **modules)
    assert registered_modules(source, "pointspider.kinds", ["two"]) == ["pointspider.kinds.two"]
    with pytest.raises(ValueError, match=r"no module of pointspider\.kinds registers three"):
        registered_modules(source, "pointspider.kinds", ["one", "three"])
