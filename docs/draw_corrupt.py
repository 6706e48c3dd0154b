"""Draw the picture of corrupt.md, reduced to 96 colours: `python docs/draw_corrupt.py [PICTURE]`."""

import sys
import tempfile
from pathlib import Path

from PIL import Image

from pointspider.cli.main import main
from pointspider.clouds.sources.procedural.source import ProceduralSettings, ProceduralSource
from pointspider.core.files import atomic


def draw_picture(picture: Path, options: tuple[str, ...] = ()) -> None:
    """Run `pointspider corrupt --sheet` on a procedural chair."""
    mesh = ProceduralSource(ProceduralSettings(evaluation_objects=1), seed=1).load("chair", "0000").mesh
    assert mesh
    with tempfile.TemporaryDirectory() as folder:
        chair, sheet = Path(folder, "chair.off"), Path(folder, "sheet.png")
        mesh.surface.export(chair)
        main(["corrupt", str(chair), "--severity", "1,3,5", "--sheet", str(sheet), *options])
        with Image.open(sheet) as image, atomic(picture) as temporary:
            image.quantize(96, dither=Image.Dither.NONE).save(temporary, format="PNG", optimize=True)


if __name__ == "__main__":
    draw_picture(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "corrupt.png")
