"""Pictures that are searched for."""

import numpy as np
import pytest
from PIL import Image

from pointspider.core.errors import InputError
from pointspider.index.models import read_picture


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp", "gif", "tif"])
def test_the_central_square_of_every_format(tmp_path, suffix):
    picture = np.zeros((16, 32, 3), np.uint8)
    picture[:, 8:24] = 255
    Image.fromarray(picture).save(tmp_path / f"a.{suffix}")
    square = read_picture(tmp_path / f"a.{suffix}")
    assert square.shape == (16, 16, 3)
    assert square[:, 2:-2].min() > 200


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_too_many_pixels_are_refused_before_they_are_decoded(tmp_path):
    Image.new("1", (10_000, 10_000)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"a\.png: has 10000 x 10000 pixels; reduce it to 89,000,000"):
        read_picture(tmp_path / "a.png")


@pytest.mark.parametrize(
    "content", [b"", b"text", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n"]
)
def test_other_files_are_refused(tmp_path, content):
    """Pillow would start a program for EPS."""
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.png: not a complete picture .*cannot identify"):
        read_picture(tmp_path / "a.png")
