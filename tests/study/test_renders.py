import numpy as np
import pytest
from PIL import Image

from pointspider.core.errors import InputError
from pointspider.core.files import read_png
from pointspider.study import renders
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


@pytest.fixture
def shards(tmp_path, monkeypatch):
    """A class of five renders in shards of two."""
    monkeypatch.setattr(renders, "SHARD", 2)
    clouds = {
        level: (
            [f"cup/{level}/{name}" for name in names],
            [np.zeros((first + i, 3)) for i in range(len(names))],
        )
        for level, names, first in (("original", ["0.1", "0.2", "b"], 5), ("scale_1", ["0.1", "b"], 8))
    }
    render_class(Grey(), clouds, tmp_path / "cup", "shards")
    return tmp_path


def test_shards_hold_the_renders_of_a_class_in_their_order(shards, monkeypatch):
    assert sorted(path.name for path in (shards / "cup").iterdir()) == [
        "00000.h5",
        "00001.h5",
        "00002.h5",
        "index.h5",
    ]
    monkeypatch.setattr(renders, "SHARD", 7)  # a later version's
    ids = ["cup/scale_1/b", "cup/original/0.2", "cup/original/0.1", "cup/original/0.2"]
    images = read_renders(shards, ids)
    assert images.shape == (4, 4, 4, 3)
    assert images[:, 0, 0, 0].tolist() == [9, 6, 5, 6]


def test_only_shards_that_are_asked_for_are_read(shards):
    (shards / "cup/00001.h5").write_bytes(b"damaged")
    assert read_renders(shards, ["cup/scale_1/b"]).max() == 9
    with pytest.raises(
        InputError, match=r"00001\.h5: .*Delete the directory .*/cup and run again\.$"
    ) as caught:
        read_renders(shards, ["cup/scale_1/0.1"])
    assert str(caught.value).count("Delete") == 1


def test_a_flipped_byte_of_a_shard_is_found(shards):
    path = shards / "cup/00000.h5"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"00000\.h5: is damaged"):
        read_renders(shards, ["cup/original/0.1"])


def test_a_render_that_no_shard_has_is_named(shards):
    with pytest.raises(
        InputError, match=r"index\.h5: has no render of cup/original/c\. Delete the directory"
    ):
        read_renders(shards, ["cup/original/0.1", "cup/original/c"])
