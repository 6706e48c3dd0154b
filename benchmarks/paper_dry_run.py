"""What the preset `paper` would fetch and run on this machine, and about how long: `make paper-dry-run`.

Nothing is fetched, and nothing run but Snakemake's own plan and a product of two matrices, whose speed tells
how long the networks take. The renderer's speed is that of the last `speed.csv` here. Expect a factor of two.
"""

import subprocess
import time
from itertools import pairwise
from pathlib import Path

import torch
import yaml
from huggingface_hub.constants import HF_HUB_CACHE

from pointspider.clouds.catalogue import MODELNET40_CLASSES, variants
from pointspider.encoders.device import pick_device
from pointspider.params import resolve
from pointspider.remote import Remote, read_remotes
from pointspider.storage import read_csv

ROOT = Path(__file__).parents[1]
TEST_OBJECTS, TRAIN_OBJECTS = 2468, 9840  # of ModelNet40's HDF5 files
#: Layers, width and tokens of the vision towers at 224 pixels.
TOWERS = {
    "openai/clip-vit-large-patch14": (24, 1024, 257),
    "openai/clip-vit-base-patch32": (12, 768, 50),
    "laion/CLIP-ViT-H-14-laion2B-s32B-b79K": (32, 1280, 257),
    "laion/CLIP-ViT-L-14-DataComp.XL-s13B-b90K": (24, 1024, 257),
}
#: Multiplications and additions of one PointNet, forwards, for one point; its layers and those of its T-Nets.
POINTNET_FLOP = 2 * (3 * 64 + 64 * 64 + 64 * 64 + 64 * 128 + 128 * 1024 + 2 * (64 * 128 + 128 * 1024))
#: A mapper's hidden layers, in multiples of its base width; its input and output are 1024 wide.
MAPPER_LAYERS = (2, 4, 8, 4, 2)
#: Training goes forwards once and backwards, for the inputs and for the weights.
TRAINING = 3


def main() -> None:
    config = yaml.safe_load((ROOT / "params.yaml").read_text()) | {"preset": "paper"}
    params = resolve(config, ROOT / "workflow/schemas/params.schema.yaml")
    print_downloads(params)
    print_jobs()
    print_hours(params)


# --------------------------------------------------------------------------------------------- downloads


def print_downloads(params: dict) -> None:
    """What is still to be fetched, file by file."""
    remotes = read_remotes(ROOT / "data/sources.csv")
    total = 0
    print("To fetch:")
    for remote in remotes.values():
        if is_needed(remote, params):
            missing = 0 if is_here(remote) else remote.bytes
            size = "unknown" if missing is None else f"{missing / 1e9:.2f} GB" if missing else "is here"
            print(f"  {size:>9}  {remote.name}")
            total += missing or 0
    print(f"  {total / 1e9:>6.2f} GB  in all that are known\n")


def is_needed(remote: Remote, params: dict) -> bool:
    points = params["encoders"]["points"]
    models = [clip["weights"] for clip in params["encoders"]["images"].values()]
    places = [params["clouds"]["directory"], points.get("directory")]
    return remote.name in [*models, points["checkpoint"]] or bool(remote.place and remote.place in places)


def is_here(remote: Remote) -> bool:
    if remote.path:
        return (ROOT / remote.place).exists() or (ROOT / remote.path).exists()
    model = f"models--{remote.name.replace('/', '--')}"
    return Path(HF_HUB_CACHE, model, "snapshots", remote.version).is_dir()


# -------------------------------------------------------------------------------------------------- jobs


def print_jobs() -> None:
    """Snakemake's own table of jobs per rule."""
    command = ["snakemake", "--dry-run", "--config", "preset=paper"]
    plan = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if plan.returncode:
        raise SystemExit(plan.stdout)
    table = plan.stdout.rpartition("Job stats:\n")[2].split("\n\n")[0]
    print(f"To run:\n{table or 'nothing: all is there'}\n")


# -------------------------------------------------------------------------------------------------- time


def print_hours(params: dict) -> None:
    """Hours of each phase, one after the other."""
    device = pick_device("auto")
    speed = flop_per_second(device)
    pictures = count_pictures(params)
    width = params["mapper"]["base_width"] or 1024
    sizes = [1024, *(width * factor for factor in MAPPER_LAYERS), 1024]
    mapper = sum(2 * a * b for a, b in pairwise(sizes))
    steps = params["alignment"]["split"]["train"] * params["mapper"]["epochs"]
    if params["alignment"]["clouds"] == "all":
        steps *= len(corrupted(params))
    towers = [TOWERS[clip["weights"]] for clip in params["encoders"]["images"].values()]
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


def corrupted(params: dict) -> list:
    return variants(params["clouds"]["corruptions"], params["clouds"]["severities"])


def count_pictures(params: dict) -> int:
    """Clouds of all manifests; a cloud that is in two of them is counted twice."""
    every = len(corrupted(params))
    aligned = TEST_OBJECTS * (every if params["alignment"]["clouds"] == "all" else 1)
    per_object = every if params["test"]["clouds"] == "all" else len(params["clouds"]["corruptions"])
    tested = params["alignment"]["split"]["test"] * (1 + per_object)
    return aligned + tested + params["roulette"]["repeats"] * len(MODELNET40_CLASSES)


def seconds_per_picture(params: dict) -> float:
    """Of ours in the fastest variant that was measured here, on all cores, at the preset's size.

    Another preset's measurement is scaled with the number of pixels.
    """
    for preset in ("paper", "embedded"):
        path = ROOT / f"results/{preset}/speed.csv"
        if path.exists():
            rows = read_csv(path, ["method", "quality", "resolution", "points", "points_per_second"])
            wanted = (rows["method"] == "ours") & (rows["quality"] == params["render"]["quality"])
            ours = rows[wanted & rows["points_per_second"].notna()]
            row = ours.loc[ours["points_per_second"].idxmax()]
            scale = (params["render"]["resolution"] / row["resolution"]) ** 2
            print(f"Rendering as {path.relative_to(ROOT)} has it for {row['resolution']:.0f}² pixels.")
            return scale * row["points"] / row["points_per_second"]
    raise SystemExit("No speed.csv yet: run `make tables` first, or `snakemake speed --config preset=paper`.")


def flop_per_second(device: torch.device) -> float:
    """Of a large product of matrices in single precision, the best of five."""
    a = torch.randn(4096, 4096, device=device)
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        (a @ a)[0, 0].item()  # waits for the device
        seconds.append(time.perf_counter() - start)
    return 2 * 4096**3 / min(seconds)


if __name__ == "__main__":
    main()
