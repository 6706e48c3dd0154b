"""Estimate what the preset `paper` downloads and runs on this machine: `make paper-dry-run`.

It runs only Snakemake's dry run, a few pictures and a matrix product, whose speed gives the time of the
networks. Expect an error of a factor of two.
"""

import os
import subprocess
import time
from itertools import pairwise
from pathlib import Path

import torch
from huggingface_hub.constants import HF_HUB_CACHE

from pointspider.clouds.names import MODELNET40_CLASSES, levels
from pointspider.clouds.sources.modelnet40 import MESHES, POINTS
from pointspider.clouds.sources.procedural.source import ProceduralSettings, ProceduralSource
from pointspider.encoders.images.hub import WEIGHTS
from pointspider.render.backends import activate, choose
from pointspider.render.renderer import Renderer
from pointspider.render.settings import RenderSettings
from pointspider.study.config import load
from pointspider.study.remote import Remote, read_remotes
from pointspider.training.device import pick_device

ROOT = Path(__file__).parents[1]
TEST_OBJECTS, TRAIN_OBJECTS = 2468, 9840  # of ModelNet40's HDF5 files
#: Layers, width and tokens of the vision towers at 224 pixels.
TOWERS = {
    "openai/clip-vit-large-patch14": (24, 1024, 257),
    "openai/clip-vit-base-patch32": (12, 768, 50),
    "laion/CLIP-ViT-H-14-laion2B-s32B-b79K": (32, 1280, 257),
    "laion/CLIP-ViT-L-14-DataComp.XL-s13B-b90K": (24, 1024, 257),
}
#: Multiplications and additions of a forward pass of PointNet and its T-Nets, per point.
POINTNET_FLOP = 2 * (3 * 64 + 64 * 64 + 64 * 64 + 64 * 128 + 128 * 1024 + 2 * (64 * 128 + 128 * 1024))
#: Hidden layers of a mapper in multiples of its base width; input and output have width 1024.
MAPPER_LAYERS = (2, 4, 8, 4, 2)
#: A forward pass, and a backward pass for the inputs and one for the weights.
TRAINING = 3


def main() -> None:
    remotes = read_remotes(ROOT / "data/sources.csv")
    params = load([ROOT / "params.yaml"], {"preset": "paper"}, remotes).model_dump()
    print_downloads(params, remotes)
    print_jobs()
    print_hours(params)


# --------------------------------------------------------------------------------------------- downloads


def print_downloads(params: dict, remotes: dict[str, Remote]) -> None:
    """List the files to download."""
    wanted = [remote for remote in remotes.values() if is_needed(remote, params)]
    missing = [remote for remote in wanted if not is_here(remote)]
    print("To fetch:")
    for remote in wanted:
        size = f"{remote.bytes / 1e9:.2f} GB" if remote.bytes else "unknown"
        by_hand = ", by hand" if remote.path and not remote.checksum else ""
        print(f"  {size if remote in missing else 'is here':>9}  {remote.name}{by_hand}")
    known = sum(remote.bytes or 0 for remote in missing)
    unknown = [remote.name for remote in missing if not remote.bytes]
    print(f"  {known / 1e9:>6.2f} GB  in total, without {', '.join(unknown) or 'exception'}\n")


def is_needed(remote: Remote, params: dict) -> bool:
    clouds, points = params["clouds"], params["encoders"]["points"]
    if not remote.path:
        return remote.name in [clip["weights"] for clip in params["encoders"]["images"].values()]
    wanted = [clouds["directory"], points.get("directory"), points["checkpoint"]]
    if clouds["source"] == "generate":
        wanted += [f"{clouds['directory']}/{name}" for name in (POINTS, MESHES)]
    return remote.place in wanted or remote.name in wanted


def is_here(remote: Remote) -> bool:
    if remote.path:
        return (ROOT / remote.place).exists() or (ROOT / remote.path).exists()
    model = f"models--{remote.name.replace('/', '--')}"
    snapshot = Path(HF_HUB_CACHE, model, "snapshots", remote.version)
    return any((snapshot / name).exists() for names in WEIGHTS.values() for name in names)


# -------------------------------------------------------------------------------------------------- jobs


def print_jobs() -> None:
    """Return Snakemake's table of jobs per rule."""
    command = ["snakemake", "--dry-run", "--config", "preset=paper"]
    plan = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if plan.returncode:
        raise SystemExit(plan.stdout)
    table = plan.stdout.rpartition("Job stats:\n")[2].split("\n\n")[0]
    print(f"To run:\n{table or 'nothing: everything is up to date'}\n")


# -------------------------------------------------------------------------------------------------- time


def print_hours(params: dict) -> None:
    """Return the hours of each phase."""
    device = pick_device("auto")
    speed = flop_per_second(device)
    pictures = count_pictures(params)
    width = params["mapper"]["base_width"] or 1024
    sizes = [1024, *(width * factor for factor in MAPPER_LAYERS), 1024]
    mapper = sum(2 * a * b for a, b in pairwise(sizes))
    steps = params["alignment"]["split"]["train"] * params["mapper"]["epochs"]
    if params["alignment"]["clouds"] == "all":
        steps *= len(corrupted(params))
    models = [clip["weights"] for clip in params["encoders"]["images"].values()]
    towers = [TOWERS[model] for model in models if model in TOWERS]
    images = sum(2 * 12 * layers * width**2 * tokens for layers, width, tokens in towers)
    points = params["encoders"]["points"]
    trained = TRAIN_OBJECTS * points.get("epochs", 0) * points.get("points", 0)
    flop = {
        "train PointNet": TRAINING * POINTNET_FLOP * trained,
        "embed pictures": images * pictures,
        "embed clouds": POINTNET_FLOP * params["clouds"]["points"] * pictures,
        # Three norms, two splits, every seed.
        "train mappers": TRAINING * mapper * steps * 3 * 2 * len(params["mapper"]["seeds"]),
    }
    print(f"Time, on {device} at {speed / 1e9:,.0f} GFLOP/s, for at most {pictures:,} pictures:")
    print(f"  {pictures * seconds_per_picture(params) / 3600:>7.1f} h  render")
    for phase, work in flop.items():
        print(f"  {work / speed / 3600:>7.1f} h  {phase}")
    for model in set(models) - set(TOWERS):
        print(f"  unknown    embed pictures with {model}")


def corrupted(params: dict) -> list:
    return levels(params["clouds"]["corruptions"], params["clouds"]["severities"])


def count_pictures(params: dict) -> int:
    """Count the clouds of all manifests; a cloud in two of them counts twice."""
    every = len(corrupted(params))
    aligned = TEST_OBJECTS * (every if params["alignment"]["clouds"] == "all" else 1)
    per_object = every if params["test"]["clouds"] == "all" else len(params["clouds"]["corruptions"])
    tested = params["alignment"]["split"]["test"] * (1 + per_object)
    return aligned + tested + params["roulette"]["repeats"] * len(MODELNET40_CLASSES)


def seconds_per_picture(params: dict) -> float:
    """Time a chair after a warm-up picture, with the variant of the workflow, on all cores."""
    activate(choose(params["render"]["variant"]), os.cpu_count())
    settings = {key: params["render"][key] for key in ("resolution", "quality")}
    renderer = Renderer(RenderSettings(**settings))
    source = ProceduralSource(ProceduralSettings(evaluation_objects=1), 0)
    clouds = source.load("chair", "0000").points[None, : params["clouds"]["points"]]
    renderer.render(clouds)
    start = time.perf_counter()
    renderer.render(clouds)
    return time.perf_counter() - start


def flop_per_second(device: torch.device) -> float:
    """Measure a large matrix product in single precision, the best of five."""
    a = torch.randn(4096, 4096, device=device)
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        (a @ a)[0, 0].item()  # waits for the device
        seconds.append(time.perf_counter() - start)
    return 2 * 4096**3 / min(seconds)


if __name__ == "__main__":
    main()
