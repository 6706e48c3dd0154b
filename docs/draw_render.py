"""Draw the pictures of render.md by the commands in it: `python docs/draw_render.py [DIRECTORY]`.

The clouds are procedural. Commands that start with `pointspider render` in a `console` block are run.
"""

import os
import re
import shlex
import sys
import tempfile
from pathlib import Path

import numpy as np

from pointspider.cli.main import main
from pointspider.clouds.sources.procedural.source import ProceduralSettings, ProceduralSource
from pointspider.core.files import write_json

DOCS = Path(__file__).parent


def write_inputs(directory: Path) -> None:
    """Write the clouds, labels and poses that the commands name."""
    source = ProceduralSource(ProceduralSettings(evaluation_objects=2), seed=1)
    rng = np.random.default_rng(0)
    (directory / "chairs").mkdir(parents=True)
    for number in range(2):
        np.save(directory / f"chairs/{number}.npy", source.load("chair", f"{number:04d}").points[:1024])
    for name in ("chair", "piano"):
        mesh = source.load(name, "0000").mesh
        assert mesh
        mesh.surface.export(directory / f"{name}.off")
    for name, count in {"piano": 4096, "plant": 8192, "lamp": 4096}.items():
        mesh = source.load(name, "0000").mesh
        assert mesh
        np.save(directory / f"{name}.npy", mesh.sample(count, rng))
    chair = np.load(directory / "chairs/0.npy")
    np.save(directory / "chair.npy", chair)
    part = (chair[:, 1] > chair[:, 1].mean()).astype(int) + (chair[:, 2] > 0.3)
    np.savez(directory / "chair.npz", points=chair, part=part)
    noisy = chair + rng.normal(scale=0.03, size=chair.shape)
    np.save(directory / "noisy.npy", noisy)
    np.savetxt(directory / "error.txt", np.linalg.norm(noisy - chair, axis=1))
    write_json(directory / "poses.json", [{"azimuth": angle, "elevation": 10} for angle in (0, 45, 90)])


def commands() -> list[list[str]]:
    """Return the arguments of every command of render.md that draws."""
    blocks = re.findall(r"```console\n(.*?)```", (DOCS / "render.md").read_text(encoding="utf-8"), re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line)[3:] for line in lines if line.startswith("$ pointspider render")]


def draw_pictures(directory: Path, options: tuple[str, ...] = ()) -> None:
    """Run the commands; those that write to render/ write into `directory`."""
    directory = directory.resolve()
    start = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        write_inputs(Path(folder))
        os.chdir(folder)
        try:
            Path("render").symlink_to(directory, target_is_directory=True)
            for arguments in commands():
                main(["render", *arguments, *options])
        finally:
            os.chdir(start)


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS / "render"
    target.mkdir(parents=True, exist_ok=True)
    draw_pictures(target)
