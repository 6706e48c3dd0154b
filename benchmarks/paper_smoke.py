"""Run the preset `paper` to Tables I-III on small substitutes, in minutes: `make paper-smoke`.

Files of the same formats replace the downloads: a ModelNet40-C archive with all 77 files but three objects
per class, four CLIPs with random weights in the formats of both libraries, and a random PointNet in the
benchmark's format. The code, the rules and the preset are unchanged; `SHRUNKEN` lists the numbers that
differ. Every object is aligned at every corruption level (`alignment.clouds: all`).
"""

import argparse
import hashlib
import json
import resource
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import open_clip
import torch
import yaml
from safetensors.torch import save_file
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTokenizer

from pointspider.clouds.corruptions.engine import corrupt_clouds
from pointspider.clouds.names import CLEAN, MODELNET40_CLASSES
from pointspider.clouds.sources.modelnet40c import RELEASED
from pointspider.clouds.sources.procedural.source import ProceduralSettings, ProceduralSource
from pointspider.encoders.points.architectures.pointnet import PointNet
from pointspider.study.remote import read_remotes

ROOT = Path(__file__).parents[1]
#: The real test split, if it is available.
REAL = ROOT.parent / "shared/real_data/modelnet40_c"
#: Objects per class.
OBJECTS = 3
#: Pixels of the renders and of the input of the CLIPs.
RESOLUTION = 32
WIDTH, LAYERS, PATCH = 64, 2, 8

#: Changes to presets.paper.
SHRUNKEN = {
    "alignment": {"split": {"train": 90, "test": 30}},
    "test": {"clouds": "corruptions"},
    "roulette": {"repeats": 3},
    "render": {"resolution": RESOLUTION},
    "speed": {"clouds": 1, "reference": {"resolution": RESOLUTION, "samples_per_pixel": 4}},
    "encoders": {"points": {"checkpoint": "modelnet40_c_pointnet"}},
    "mapper": {"base_width": 32, "epochs": 3, "batch_size": 1024, "seeds": [0, 1]},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path, help="for the checkout, the substitutes and the results")
    directory = parser.parse_args().directory.resolve()
    clear(directory)
    copy_checkout(directory)
    write_archive(directory)
    write_pointnet(directory / "data/pointnet/model_best_test.pth")
    write_params(directory)
    start = time.perf_counter()
    subprocess.run(["snakemake", "--cores", "2"], cwd=directory, check=True)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print((directory / "results/paper/tables/summary.md").read_text())
    print(
        f"{time.perf_counter() - start:.0f} s, {used.ru_utime + used.ru_stime:.0f} CPU s, largest process "
        f"{used.ru_maxrss / 2**20:.2f} GiB; see {directory / 'results/paper'}"
    )


def clear(directory: Path) -> None:
    """Create the directory again; refuse one that this script did not create."""
    marker = directory / ".paper-smoke"
    if directory.exists():
        if not marker.exists():
            raise SystemExit(f"{directory}: exists and was not created by this script; choose another.")
        shutil.rmtree(directory)
    directory.mkdir(parents=True)
    marker.touch()


def copy_checkout(directory: Path) -> None:
    """List the tracked and untracked files without results."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    for name in listing.splitlines():
        if not name.startswith(("results/", "tests/")) and (ROOT / name).is_file():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, directory / name)


# ------------------------------------------------------------------------------------------------ clouds


def write_archive(directory: Path) -> None:
    """Write data/modelnet40_c.zip, with its size and checksum in data/sources.csv."""
    archive = directory / "data/modelnet40_c.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for name, array in release_arrays().items():
            with file.open(f"modelnet40_c/{name}.npy", "w", force_zip64=True) as member:
                np.save(member, array)
    table = directory / "data/sources.csv"
    release = read_remotes(table)["modelnet40_c"]
    digest = hashlib.md5(archive.read_bytes()).hexdigest()
    text = table.read_text().replace(release.checksum, f"md5:{digest}")
    table.write_text(text.replace(f",{release.bytes},", f",{archive.stat().st_size},"))


def release_arrays() -> dict[str, np.ndarray]:
    """Return {stem of the file: array} of a release, in random order.

    Clouds are real if available; meshes are procedural.
    """
    source = ProceduralSource(ProceduralSettings(evaluation_objects=OBJECTS), 1)
    labels, pools, meshes, keys = [], [], [], []
    for number, name in enumerate(MODELNET40_CLASSES):
        objects = [f"{k:04d}" for k in range(OBJECTS)]
        loaded = [source.load(name, key) for key in objects]
        labels += [number] * OBJECTS
        pools += real_clouds(number) if REAL.exists() else [cloud.points for cloud in loaded]
        meshes += [cloud.mesh for cloud in loaded]
        keys += [f"{name}/{key}" for key in objects]
    order = np.random.default_rng(0).permutation(len(labels))
    arrays = {"label": np.array(labels, np.uint8)[order, None]}
    for level in RELEASED:
        clouds = corrupt_clouds(level, pools, meshes, keys, seed=2021)[order]
        stored = clouds.astype(np.float64) if level.corruption == "distortion" else clouds
        arrays[f"data_{level}"] = stored
    assert arrays[f"data_{CLEAN}"].shape == (len(labels), 1024, 3)
    return arrays


def real_clouds(label: int) -> list[np.ndarray]:
    rows = np.flatnonzero(np.load(REAL / "label.npy").ravel() == label)[:OBJECTS]
    return list(np.load(REAL / "data_original.npy", mmap_mode="r")[rows])


# ---------------------------------------------------------------------------------------------- encoders


def write_pointnet(path: Path) -> None:
    """Write a random PointNet in the benchmark's format for several GPUs."""
    torch.manual_seed(0)
    state = {f"module.model.{key}": tensor for key, tensor in PointNet(40).state_dict().items()}
    path.parent.mkdir(parents=True)
    torch.save({"model_state": state, "test_perf": np.float64(0.025)}, path)


def write_params(directory: Path) -> None:
    """Select and shrink the preset `paper` in params.yaml, and write its CLIPs."""
    params = yaml.safe_load((directory / "params.yaml").read_text())
    params["preset"] = "paper"
    paper = params["presets"]["paper"]
    params["alignment"]["clouds"] = "all"
    for number, (name, clip) in enumerate(paper["encoders"]["images"].items()):
        torch.manual_seed(number)
        clip["weights"] = f"data/clips/{name}"
        write = {"open_clip": write_open_clip, "transformers": write_transformers}[clip["backend"]]
        write(directory / clip["weights"])
    paper["encoders"]["points"] = {"name": "pointnet"}
    merge(paper, SHRUNKEN)
    (directory / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


def merge(values: dict, changes: dict) -> None:
    for key, change in changes.items():
        if isinstance(change, dict) and isinstance(values.get(key), dict):
            merge(values[key], change)
        else:
            values[key] = change


def write_open_clip(directory: Path) -> None:
    """Write a random CLIP in open_clip's format."""
    tower = {"width": WIDTH, "layers": LAYERS}
    architecture = {
        "embed_dim": WIDTH,
        "vision_cfg": {"image_size": RESOLUTION, "patch_size": PATCH, "head_width": 32, **tower},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "heads": 2, **tower},
    }
    preprocess = {
        "mean": open_clip.OPENAI_DATASET_MEAN, "std": open_clip.OPENAI_DATASET_STD,
        "interpolation": "bicubic", "resize_mode": "shortest",
    }  # fmt: skip
    directory.mkdir(parents=True)
    configuration = {"model_cfg": architecture, "preprocess_cfg": preprocess}
    (directory / "open_clip_config.json").write_text(json.dumps(configuration))
    save_file(open_clip.CLIP(**architecture).state_dict(), directory / "open_clip_model.safetensors")


def write_transformers(directory: Path) -> None:
    """Write a random CLIP in the format of OpenAI's on the hub, with their tokenizer."""
    tower = {
        "hidden_size": WIDTH, "intermediate_size": 4 * WIDTH, "num_attention_heads": 2,
        "num_hidden_layers": LAYERS, "hidden_act": "quick_gelu",
    }  # fmt: skip
    vision = {**tower, "image_size": RESOLUTION, "patch_size": PATCH}
    text = {**tower, "eos_token_id": 49407}
    config = CLIPConfig(vision_config=vision, text_config=text, projection_dim=WIDTH)
    CLIPModel(config).save_pretrained(directory)
    size = {"shortest_edge": RESOLUTION}
    CLIPImageProcessor(size=size, crop_size=RESOLUTION).save_pretrained(directory)
    words = open_clip.SimpleTokenizer()
    special = {"<start_of_text>": "<|startoftext|>", "<end_of_text>": "<|endoftext|>"}
    vocabulary = {special.get(token, token): number for token, number in words.encoder.items()}
    tokenizer = CLIPTokenizer(vocab=vocabulary, merges=list(words.bpe_ranks), model_max_length=77)
    tokenizer.save_pretrained(directory)


if __name__ == "__main__":
    sys.exit(main())
