import os
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from pointspider.core.errors import InputError
from pointspider.render.motion import check_movie, turntable, write_movie
from pointspider.render.scene import Camera
from pointspider.render.sheet import add_color_bar, grid


@pytest.fixture
def pictures():
    """Five opaque pictures of one colour each, 60 x 60."""
    values = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [0, 0, 0], [255, 255, 0]], np.uint8)
    return [np.dstack([np.tile(value, (60, 60, 1)), np.full((60, 60), 255, np.uint8)]) for value in values]


def test_a_grid_goes_row_by_row(pictures):
    sheet = grid(pictures, 3, gap=2)
    assert sheet.shape == (122, 184, 4)
    np.testing.assert_array_equal(sheet[:60, 62:122], pictures[1])
    np.testing.assert_array_equal(sheet[62:, :60], pictures[3])
    assert (sheet[62:, 124:] == 255).all()
    assert (grid(pictures, 3, background=None, gap=2)[62:, 124:] == 0).all()


def test_captions_are_below_their_pictures(pictures):
    sheet = grid(pictures, 5, ["a", "b", "long caption of words", "d", "e"])
    assert sheet.shape[0] > 60
    assert (sheet[60:, :60, :3] < 100).any()
    assert (grid(pictures, 5, list("abcde"), (0.0, 0.0, 0.0))[60:, :, :3] > 200).any()
    with pytest.raises(InputError, match="1 captions for 5 pictures"):
        grid(pictures, 5, ["a"])
    with pytest.raises(InputError, match="at least one picture"):
        grid([], 5)


def test_a_color_bar_has_the_colormaps_ends(pictures):
    bar = add_color_bar(pictures[0], "gray", (0, 10))
    np.testing.assert_array_equal(bar[:, :60], pictures[0])
    assert bar[7, 61, :3].tolist() == [255] * 3
    assert bar[52, 61, :3].max() < 10


def test_a_turntable_starts_at_the_camera():
    cameras = turntable(Camera(azimuth=10, fov=30), 4)
    assert [camera.azimuth for camera in cameras] == [10, 100, 190, 280]
    assert {camera.fov for camera in cameras} == {30}


def test_a_gif_has_the_frames(pictures, tmp_path):
    write_movie(tmp_path / "a.gif", pictures, 10)
    with Image.open(tmp_path / "a.gif") as image:
        assert image.n_frames == 5
        assert image.info["duration"] == 100
        image.seek(2)
        assert np.abs(np.asarray(image.convert("RGB")).astype(int) - [0, 0, 255]).max() < 8
    assert [path.name for path in tmp_path.iterdir()] == ["a.gif"]


def test_a_gifs_background_is_exact(tmp_path):
    noisy = np.random.default_rng(0).integers(200, 256, (40, 40, 4)).astype(np.uint8)
    noisy[..., 3] = 255
    noisy[:20, :, :3] = [255, 255, 255]
    write_movie(tmp_path / "a.gif", [noisy, noisy], 10)
    with Image.open(tmp_path / "a.gif") as image:
        assert (np.asarray(image.convert("RGB"))[:20] == 255).all()


def test_a_gif_may_be_transparent(pictures, tmp_path):
    frames = [picture.copy() for picture in pictures]
    for frame in frames:
        frame[:30, :, 3] = 0
    write_movie(tmp_path / "a.gif", frames, 10)
    with Image.open(tmp_path / "a.gif") as image:
        image.seek(1)
        frame = np.asarray(image.convert("RGBA"))
    assert (frame[:30, :, 3] == 0).all()
    assert (frame[31:, :, 3] == 255).all()


def test_mp4_goes_through_ffmpeg(pictures, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"needs the program ffmpeg"):
        check_movie(tmp_path / "a.mp4")
    program = tmp_path / "ffmpeg"
    program.write_text('#!/bin/sh\nfor last; do :; done\n/bin/cat > "$last"\n')
    program.chmod(0o755)
    write_movie(tmp_path / "a.mp4", pictures, 10)
    assert (tmp_path / "a.mp4").stat().st_size == 5 * 60 * 60 * 3
    program.write_text("#!/bin/sh\necho no codec >&2\nexit 1\n")
    with pytest.raises(InputError, match=r"b\.mp4: ffmpeg failed: no codec"):
        write_movie(tmp_path / "b.mp4", pictures, 10)
    assert sorted(os.listdir(tmp_path)) == ["a.mp4", "ffmpeg"]
    with pytest.raises(InputError, match=r"movies are \.gif or \.mp4"):
        check_movie(tmp_path / "a.avi")


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
def test_an_mp4_shows_the_frames(pictures, tmp_path):
    write_movie(tmp_path / "a.mp4", pictures, 10)
    command = [
        "ffmpeg",
        "-loglevel",
        "error",
        "-i",
        tmp_path / "a.mp4",
        "-f",
        "rawvideo",
        "-pix_fmt",
        "rgb24",
        "-",
    ]
    shown = np.frombuffer(subprocess.run(command, check=True, capture_output=True).stdout, np.uint8)
    frames = shown.reshape(5, 60, 60, 3).astype(int)
    for frame, picture in zip(frames, pictures, strict=True):
        assert np.abs(frame - picture[..., :3])[10:50, 10:50].max() < 12
