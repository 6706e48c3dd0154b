"""Write requirements.lock and the conda environments from pyproject.toml. Run it by `make lock`.

requirements.lock holds every extra and the group `dev`, with hashes, for every platform. Each environment
holds the extras that the rules of one phase need, at the versions of the lock, with their dependencies.
Versions already in the lock stay; `make lock UPGRADE=--upgrade` moves all of them to the newest.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
ENVIRONMENTS = {
    "report": (["study"], "Clouds, tables and plots."),
    "render": (["render", "study"], "Rendering with Mitsuba."),
    "learn": (["learn", "study"], "Encoders, embeddings and mappers."),
}


def compile_requirements(*options: str) -> str:
    """Return what `uv pip compile` writes for pyproject.toml, without a header and PointSpider itself."""
    command = ["uv", "pip", "compile", "pyproject.toml", "--universal", "--quiet", "--no-header"]
    command += ["--no-emit-package", "pointspider", *options]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def environment(name: str) -> str:
    """Return the text of envs/`name`.yaml."""
    extras, purpose = ENVIRONMENTS[name]
    options = [f"--extra={extra}" for extra in extras]
    pins = compile_requirements("--no-annotate", "--constraint=requirements.lock", *options)
    return "\n".join([
        f"# {purpose} Extras of pyproject.toml: {', '.join(extras)}. Written by `make lock`.",
        "channels:",
        "  - conda-forge",
        "dependencies:",
        "  - python =3.11",
        "  - pip",
        "  - pip:",
        *(f"      - {line}" for line in pins.splitlines()),
        "",
    ])  # fmt: skip


if __name__ == "__main__":
    lock = ["--all-extras", "--group=dev", "--generate-hashes", "--output-file=requirements.lock"]
    compile_requirements(*lock, *sys.argv[1:])
    for name in ENVIRONMENTS:
        (ROOT / f"envs/{name}.yaml").write_text(environment(name), encoding="utf-8")
