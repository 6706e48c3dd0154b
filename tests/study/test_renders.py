import numpy as np
import pytest
from PIL import Image

from pointspider.core.errors import InputError
from pointspider.core.files import read_png
from pointspider.study.render_class import render_class
from pointspider.study.renders import read_renders


class Grey:
    """A renderer whose pictures are as bright as the cloud has points."""

    def render(self, points):
        if not np.isfinite(points).all():
            raise InputError("points hold NaN.")
        return np.full((1, 4, 4, 3), points.shape[1], np.uint8)


def test_a_class_becomes_a_folder(tmp_path):
    clouds = {
        "original": (["cup/original/0001", "cup/original/0002"], np.zeros((2, 5, 3))),
        "density_3": (["cup/density_3/0002"], np.zeros((1, 7, 3))),
    }
    render_class(Grey(), clouds, tmp_path / "cup")
    written = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*"))
    assert written == ["cup/density_3/0002.png", "cup/original/0001.png", "cup/original/0002.png"]
    assert (read_png(tmp_path / "cup/density_3/0002.png") == 7).all()
    assert read_renders(tmp_path, ["cup/original/0002", "cup/density_3/0002"]).max(
        axis=(1, 2, 3)
    ).tolist() == [5, 7]


def test_a_bad_cloud_is_named_and_nothing_half_written(tmp_path, monkeypatch):
    clouds = {"original": (["cup/original/7", "cup/original/8"], [np.zeros((5, 3)), np.full((5, 3), np.nan)])}
    with pytest.raises(InputError, match="cloud cup/original/8: points hold NaN"):
        render_class(Grey(), clouds, tmp_path)

    def interrupt(self, *arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(Image.Image, "save", interrupt)
    with pytest.raises(KeyboardInterrupt):
        render_class(Grey(), {"scale_1": (["cup/scale_1/7"], [np.zeros((5, 3))])}, tmp_path)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["7.png"]


def test_a_missing_render_is_named(tmp_path):
    with pytest.raises(InputError, match=r"Delete the directory .*/cup and run again"):
        read_renders(tmp_path, ["cup/original/0001"])
