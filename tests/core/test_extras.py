import subprocess
import sys

import pytest

from pointspider.clouds.readers.registry import load_cloud
from pointspider.core.errors import InputError
from pointspider.core.extras import missing, require


@pytest.mark.parametrize(
    ("module", "wanted"),
    [
        ("mitsuba", '"pointspider[render]"'),
        ("drjit.llvm", '"pointspider[render]"'),
        ("scipy.spatial", '"pointspider[meshes]"'),  # the smallest of the extras that have it
        ("open_clip", '"pointspider[learn]"'),
        ("faiss", '"pointspider[index]"'),
        ("rtree", "rtree"),
    ],
)
def test_a_missing_module_names_the_extra(module, wanted):
    assert str(missing(module)).endswith(f"is not installed; install it: pip install {wanted}")


def test_required_modules_are_found_or_named():
    require("numpy", "json")
    with pytest.raises(InputError, match="the package no-such-module is not installed"):
        require("json", "no_such_module")


def test_a_reader_names_its_package(tmp_path, monkeypatch):
    (tmp_path / "a.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    monkeypatch.setitem(sys.modules, "trimesh", None)
    with pytest.raises(InputError, match=r"a\.obj: the package trimesh is not installed"):
        load_cloud(tmp_path / "a.obj")


def test_a_command_names_the_extra(tmp_path):
    code = (
        "import sys; sys.modules['mitsuba'] = sys.modules['scipy'] = None\n"
        "from pointspider.cli.main import main; main()"
    )
    (tmp_path / "a.xyz").write_text("0 0 0\n1 0 0\n0 1 0\n0 0 1\n1 1 1\n")
    for command, extra in (
        (["render", "a.xyz", "a.png"], "render"),
        (["corrupt", "a.xyz", "b.npy", "--corruption", "points/lidar", "--severity", "1"], "meshes"),
    ):
        child = subprocess.run(
            [sys.executable, "-c", code, *command], cwd=tmp_path, capture_output=True, text=True
        )
        assert child.returncode == 1
        assert child.stderr.endswith(f'is not installed; install it: pip install "pointspider[{extra}]"\n')
        assert child.stderr.count("\n") == 1
