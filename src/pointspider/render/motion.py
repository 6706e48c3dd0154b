"""Movies: turntables and lists of poses, as GIF or MP4."""

import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from pointspider.core.errors import InputError
from pointspider.core.files import atomic
from pointspider.render.scene import Camera

Frame = UInt8[np.ndarray, "H W 4"]
PALETTE_FRAMES = 8  # from which a GIF's 256 colours are chosen, for all frames alike


def turntable(camera: Camera, count: int) -> list[Camera]:
    """Return `count` cameras once around the cloud, the first of them `camera`."""
    return [replace(camera, azimuth=camera.azimuth + 360 * index / count) for index in range(count)]


def write_movie(path: Path, frames: Iterable[Frame], fps: float) -> None:
    """Write frames as GIF, or as MP4 by ffmpeg, depending on the extension.

    Raises:
        InputError: another extension, or ffmpeg is missing or fails.
    """
    check_movie(path)
    with atomic(path) as temporary:
        if path.suffix.lower() == ".gif":
            _write_gif(temporary, frames, fps)
        elif message := _write_mp4(temporary, iter(frames), fps):
            raise InputError(f"{path}: ffmpeg failed: {message}")


def check_movie(path: Path) -> None:
    """Check, before anything is rendered, that a movie of this name can be written.

    Raises:
        InputError: another extension, or ffmpeg is missing.
    """
    suffix = path.suffix.lower()
    if suffix not in (".gif", ".mp4"):
        raise InputError(f"{path}: movies are .gif or .mp4.")
    if suffix == ".mp4" and not shutil.which("ffmpeg"):
        raise InputError(f"{path}: MP4 needs the program ffmpeg; install it, or write a .gif.")


def _write_gif(path: Path, frames: Iterable[Frame], fps: float) -> None:
    images = [Image.fromarray(frame) for frame in frames]
    transparent = any(np.asarray(image)[..., 3].min() < 255 for image in images)
    # One palette without dithering: a palette or a pattern that differs from frame to frame flickers.
    every = max(1, len(images) // PALETTE_FRAMES)
    mosaic = np.concatenate([np.asarray(image.convert("RGB")) for image in images[::every]])
    palette = Image.fromarray(mosaic).quantize(255, dither=Image.Dither.NONE)
    # Pillow matches colours only roughly; the most frequent one, the background's, must be exact.
    colours, counts = np.unique(mosaic.reshape(-1, 3)[::7], axis=0, return_counts=True)
    table = np.array(palette.getpalette(), np.uint8).reshape(-1, 3)
    background = colours[counts.argmax()]
    exact = np.abs(table.astype(int) - background).sum(axis=1).argmin()
    table[exact] = background
    indexed = []
    for image in images:
        pixels = np.array(image.convert("RGB").quantize(palette=palette, dither=Image.Dither.NONE))
        pixels[(np.asarray(image)[..., :3] == background).all(axis=-1)] = exact
        if transparent:  # GIF has no partial transparency
            pixels[np.asarray(image)[..., 3] < 128] = 255
        frame = Image.fromarray(pixels, mode="P")
        frame.putpalette(table.ravel().tolist())
        indexed.append(frame)
    options = {"transparency": 255, "disposal": 2} if transparent else {}
    indexed[0].save(
        path, format="GIF", save_all=True, append_images=indexed[1:], duration=round(1000 / fps), loop=0,
        optimize=False, **options,
    )  # fmt: skip


def _write_mp4(path: Path, frames: Iterator[Frame], fps: float) -> str:
    """Return ffmpeg's last line of errors, or "" if it succeeded."""
    first = next(frames)
    height, width = (side - side % 2 for side in first.shape[:2])  # H.264 in 4:2:0 needs even sides
    command = [
        "ffmpeg", "-y", "-loglevel", "error",
        "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(fps), "-i", "-",
        "-f", "mp4", "-pix_fmt", "yuv420p", "-crf", "18", str(path),
    ]  # fmt: skip
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        try:
            for frame in (first, *frames):
                alpha = frame[..., 3:] / 255  # over white, as MP4 has no transparency
                opaque = frame[..., :3] * alpha + 255 * (1 - alpha)
                process.stdin.write((opaque + 0.5).astype(np.uint8)[:height, :width].tobytes())
            process.stdin.close()
        except BrokenPipeError:
            pass
        message = process.stderr.read().decode(errors="replace").strip()
    return (message or "no message").splitlines()[-1] if process.returncode else ""
