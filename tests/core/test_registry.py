"""The registry: modules that register themselves are found, names are unique."""

import sys

import pytest

from pointspider.core.errors import InputError
from pointspider.core.registry import Registry


@pytest.fixture
def shapes(tmp_path, monkeypatch):
    """The registry of a package `toys` that has one module."""
    package = tmp_path / "toys"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "round.py").write_text(
        "import builtins\n\n@builtins.toy_registry.register('ball')\nclass Ball:\n    pass\n"
    )
    registry = Registry("toys", "shape")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("builtins.toy_registry", registry, raising=False)
    yield registry
    sys.modules.pop("toys", None)
    sys.modules.pop("toys.round", None)


def test_modules_are_imported_when_the_registry_is_read(shapes):
    assert "toys.round" not in sys.modules
    assert list(shapes) == ["ball"]
    assert len(shapes) == 1
    assert shapes["ball"].__name__ == "Ball"


def test_a_second_entry_is_found_and_removed(shapes):
    shapes.register("cube")(int)
    assert shapes.find("cube") is int
    shapes.remove("cube")
    assert "cube" not in shapes


def test_unknown_and_repeated_names(shapes):
    with pytest.raises(InputError, match=r"^clouds\.shape: 'bal' is not a shape; did you mean 'ball'\?"):
        shapes.find("bal", "clouds.shape")
    with pytest.raises(InputError, match=r"^'torus' is not a shape; choose from ball\."):
        shapes.find("torus")
    with pytest.raises(ValueError, match="shape 'ball' is registered twice"):
        shapes.register("ball")(int)
