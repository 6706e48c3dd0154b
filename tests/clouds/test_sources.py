"""The registry of sources: settings, classes, and a toy source through the registry alone."""

import subprocess
import sys
from typing import Literal

import numpy as np
import pytest

from pointspider.clouds.cloud import Cloud
from pointspider.clouds.names import CLEAN
from pointspider.clouds.sources.base import ALL, Source, SourceSettings
from pointspider.clouds.sources.registry import SOURCES, class_names, open_source, parse_settings
from pointspider.core.errors import InputError


@pytest.fixture
def toy_source():
    """A source of two classes, registered while the test runs."""

    class ToySettings(SourceSettings):
        source: Literal["toy"] = "toy"
        size: int

    @SOURCES.register("toy")
    class ToySource(Source):
        Settings = ToySettings

        def __init__(self, settings, seed):
            self.classes = class_names(settings)
            self._rng = np.random.default_rng(seed)
            self._size = settings.size

        @classmethod
        def list_classes(cls, settings):
            return ("ball", "cube")

        def objects(self):
            return {ALL: {name: ["one", "two"] for name in self.classes}}

        def load(self, class_name, object_name):
            return Cloud(self._rng.normal(size=(self._size, 3))).normalize(object_name)

    yield ToySource
    SOURCES.remove("toy")


def test_a_source_is_one_class(toy_source):
    values = {"source": "toy", "size": 7, "classes": ["cube"], "points": 1024, "corruptions": ["uniform"]}
    source = open_source(parse_settings(values), seed=1)
    assert isinstance(source, toy_source)
    assert source.objects() == {"all": {"cube": ["one", "two"]}}
    assert source.load("cube", "one").points.shape == (7, 3)
    assert source.released("cube", ["one"], CLEAN) is None
    assert source.input_files(parse_settings(values)) == []


def test_settings_are_typed(toy_source):
    with pytest.raises(InputError, match=r"clouds\.size: 'many': .*integer"):
        parse_settings({"source": "toy", "size": "many"})
    with pytest.raises(InputError, match=r"clouds\.evaluation_objects: None: .*integer"):
        parse_settings({"source": "procedural", "evaluation_objects": None})
    with pytest.raises(InputError, match=r"clouds\.encoder_objects: 2: .*the test split only"):
        parse_settings({"source": "modelnet40c", "directory": "d", "encoder_objects": 2})
    with pytest.raises(InputError, match=r"clouds\.points: 512: .*1024"):
        parse_settings({"source": "modelnet40c", "directory": "d", "points": 512})


def test_unknown_sources_name_the_closest():
    with pytest.raises(InputError, match=r"clouds\.source: 'folders' is not a source; did you mean 'folder'"):
        parse_settings({"source": "folders"})
    assert set(SOURCES) == {"folder", "generate", "modelnet40c", "procedural", "road"}


def test_class_names_of_a_folder_and_of_a_choice(tmp_path):
    def names(classes="all", directory=tmp_path):
        values = {"source": "folder", "directory": str(directory), "classes": classes}
        return class_names(parse_settings(values))

    with pytest.raises(InputError, match="has 0 sub-folders"):
        names()
    for name in ("mug", "bench"):
        (tmp_path / name).mkdir()
    assert names() == ("bench", "mug")
    with pytest.raises(InputError, match=r"clouds\.classes: cat not in the source; it has bench, mug"):
        names(["mug", "cat"])
    (tmp_path / "c++").mkdir()
    with pytest.raises(InputError, match=r"c\+\+: name it with letters, digits"):
        names()
    with pytest.raises(InputError, match=r"clouds\.directory: 'nowhere' is not a directory"):
        names(directory="nowhere")
    values = {"source": "procedural", "classes": ["xbox", "bed"], "evaluation_objects": 2}
    assert class_names(parse_settings(values)) == ("bed", "xbox")


def test_the_registry_imports_no_heavy_library():
    code = (
        "import sys; from pointspider.clouds.sources.registry import SOURCES; list(SOURCES); "
        "print({'trimesh', 'h5py', 'scipy', 'pandas'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"
