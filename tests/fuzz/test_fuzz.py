"""Damaged and hostile input to every reader: a result or an InputError; no other error, no hang, no flood.

`make fuzz` runs each reader for a minute, the default suite for a few examples.
"""

import copy
import faulthandler
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import laspy
import numpy as np
import pytest
import torch
import trimesh
import yaml
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from PIL import Image
from pypcd4 import Encoding, PointCloud

from pointspider.cli.drawing import read_poses
from pointspider.cli.inputs import Item
from pointspider.cli.placing import read_numbers, read_palette
from pointspider.clouds.cloud import Cloud
from pointspider.clouds.readers.registry import FORMATS, count_clouds, load_cloud
from pointspider.clouds.sources.folder import FolderSettings, FolderSource
from pointspider.clouds.sources.modelnet40 import ModelNet40, ModelNet40Settings
from pointspider.clouds.sources.modelnet40c import ModelNet40C, ModelNet40CSettings
from pointspider.core.errors import InputError
from pointspider.core.files import read_csv, read_hdf5, read_json, read_png, write_png
from pointspider.encoders.checkpoints import read_checkpoint
from pointspider.encoders.images.clip import load_clip
from pointspider.encoders.images.hub import check_files
from pointspider.index.models import read_picture
from pointspider.index.store import Store, encode, writing
from pointspider.mappers.affine import Affine
from pointspider.mappers.files import load_predictor
from pointspider.render.scene import Camera
from pointspider.study.config.load import resolve
from pointspider.study.fetch import unpack
from pointspider.study.remote import read_remotes

#: Seconds per reader; 0: one round of EXAMPLES.
SECONDS = float(os.environ.get("POINTSPIDER_FUZZ_SECONDS", "0"))
EXAMPLES = 200 if SECONDS else 15
#: Bounds of one example, a file of a few kilobytes. A damaged length of four bytes makes Python's `read`
#: reserve 4 GiB, which it does not use.
MOST_SECONDS, MOST_BYTES = 20, 6 << 30
POINTS = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
BOX = trimesh.creation.box()


# ------------------------------------------------------------------------------------------- seed files


def las(path: Path) -> None:
    file = laspy.LasData(laspy.LasHeader(version="1.2", point_format=3))
    file.x, file.y, file.z = POINTS.T.astype(np.float64)
    file.write(path)


def hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["data"] = POINTS[None]
        file["label"] = np.zeros((1, 1), np.int64)


#: Binary, with lists whose lengths may be negative, and rows of different lengths.
SIGNED_PLY = b"""ply
format binary_little_endian 1.0
element face 2
property list char int vertex_indices
element vertex 4
property float x
property float y
property float z
end_header
"""
SIGNED_PLY += b"\3" + np.arange(3, dtype="<i4").tobytes() + b"\4" + np.arange(4, dtype="<i4").tobytes()
SIGNED_PLY += POINTS[:4].astype("<f4").tobytes()


def ascii_ply(path: Path) -> None:
    BOX.export(path, encoding="ascii")


#: {file: its writer}: at least one file per format.
CLOUDS: dict[str, Callable[[Path], object]] = {
    "a.npy": lambda path: np.save(path, POINTS),
    "a.npz": lambda path: np.savez_compressed(path, points=POINTS, labels=np.arange(20)),
    "a.h5": hdf5,
    "a.las": las,
    "a.pcd": lambda path: PointCloud.from_xyz_points(POINTS).save(path),
    "a.xyz": lambda path: np.savetxt(path, POINTS, fmt="%.3f"),
    "a.ply": BOX.export,
    "ascii.ply": ascii_ply,
    "signed.ply": lambda path: path.write_bytes(SIGNED_PLY),
    "compressed.pcd": lambda path: PointCloud.from_xyz_points(POINTS).save(path, Encoding.BINARY_COMPRESSED),
    "ascii.pcd": lambda path: PointCloud.from_xyz_points(POINTS).save(path, Encoding.ASCII),
    "a.off": BOX.export,
    "a.obj": BOX.export,
    "a.stl": BOX.export,
    "a.glb": BOX.export,
    "a.kitti": lambda path: POINTS.tofile(path),
    "a.nuscenes": lambda path: POINTS.tofile(path),
}


def read_every_way(path: Path, format_: str | None) -> None:
    """Read a file of clouds as the command does, and as a source does."""
    load_cloud(path, format=format_)
    if format_ is None:
        for row in range(min(count_clouds(path) or 0, 3)):
            load_cloud(path, row=row)


# ------------------------------------------------------------------------------------------- mutations

#: Numbers at the ends of types, and text that parsers treat specially.
SPECIAL = [
    b"",
    b"\0",
    b"\xff" * 4,
    b"-1",
    b"0",
    b"1e999",
    b"nan",
    b"9223372036854775808",
    b"99999999",
    b"\x7f\xff\xff\xff",
]
SPECIAL += [b"list", b"object", b"{", b"}", b"[", b"'", b'"', b"\n", b"\r\n", b"../", b"%s", "椅".encode()]
SPECIAL += [b"[" * 20000, b'{"a":' * 20000, b"- " * 20000, b"&a [*a]"]
mutation = st.tuples(
    st.sampled_from(["flip", "replace", "insert", "delete", "truncate", "repeat"]),
    st.floats(0, 1),
    st.one_of(st.binary(max_size=8), st.sampled_from(SPECIAL)),
)


def mutate(content: bytes, mutations: list[tuple[str, float, bytes]]) -> bytes:
    for kind, where, data in mutations:
        at = int(where * len(content))
        if kind == "flip" and content:
            at = min(at, len(content) - 1)
            content = content[:at] + bytes([content[at] ^ (data[0] if data else 1)]) + content[at + 1 :]
        elif kind == "replace":
            content = content[:at] + data + content[at + len(data) :]
        elif kind == "insert":
            content = content[:at] + data + content[at:]
        elif kind == "delete":
            content = content[:at] + content[at + 1 + len(data) :]
        elif kind == "truncate":
            content = content[:at]
        elif kind == "repeat":
            content = content[:at] + content[at : at + 64] * 3 + content[at:]
    return content


class TooSlow(BaseException):
    """Not an Exception: readers must not take it for their own."""


def stop(*_: object) -> None:
    raise TooSlow


@contextmanager
def bounded() -> Iterator[None]:
    """Limit the time and the memory of a reader, and of nothing else.

    A hang in C, where Python handles no signal, ends the process; pytest-xdist reports it and goes on.
    """
    before, handler = resource.getrlimit(resource.RLIMIT_AS), signal.signal(signal.SIGALRM, stop)
    faulthandler.dump_traceback_later(2 * MOST_SECONDS, exit=True)
    signal.alarm(MOST_SECONDS)
    if sys.platform == "linux":
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MOST_BYTES, before[1]))
    try:
        yield
    finally:
        signal.alarm(0)
        resource.setrlimit(resource.RLIMIT_AS, before)
        faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGALRM, handler)


def causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def check(run: Callable[[Any], object], example: Any) -> None:
    """Call `run`, which may raise InputError only, and not because it asked for much memory."""
    problem = ""
    try:
        with bounded():
            run(example)
    except InputError as error:
        if any(isinstance(each, MemoryError) for each in causes(error)):
            problem = f"asked for more than {MOST_BYTES:,} bytes: {error}"
    except TooSlow:
        problem = f"took longer than {MOST_SECONDS} s"
    assert not problem


#: Of the running test: (name, value) pairs that its report has, for the summary in conftest.py.
properties: list[tuple[str, object]] = []


@pytest.fixture(autouse=True)
def _reported(request) -> None:
    global properties
    properties = request.node.user_properties


def fuzz(strategy: st.SearchStrategy[Any], run: Callable[[Any], object]) -> None:
    """Check `run` on examples."""
    end, rounds, examples = time.monotonic() + SECONDS, 0, 0

    def check_one(example: Any) -> None:
        nonlocal examples
        examples += 1
        check(run, example)

    options = settings(
        max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    try:
        while rounds == 0 or time.monotonic() < end:
            seed(rounds)(options(given(strategy)(check_one)))()
            rounds += 1
    finally:
        properties.append(("examples", examples))


def fuzz_file(path: Path, run: Callable[[], object]) -> None:
    """Mutate a file."""
    content = path.read_bytes()

    def with_mutations(mutations: list[tuple[str, float, bytes]]) -> None:
        path.write_bytes(mutate(content, mutations))
        run()

    fuzz(st.lists(mutation, min_size=1, max_size=4), with_mutations)


# --------------------------------------------------------------------------------------------- readers


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CLOUDS)
def test_clouds(name, tmp_path):
    path = tmp_path / name
    known = {extension for each in FORMATS.values() for extension in each.extensions}
    format_ = None if path.suffix in known else path.suffix[1:]
    CLOUDS[name](path)
    load_cloud(path, format=format_, row=0 if name == "a.h5" else None)
    fuzz_file(path, lambda: read_every_way(path, format_))


def test_every_format_is_fuzzed():
    covered = {extension for name in CLOUDS for extension in [Path(name).suffix]}
    assert all(f".{name}" in covered or covered & set(known.extensions) for name, known in FORMATS.items())


@pytest.mark.filterwarnings("ignore")
def test_a_folder_of_labelled_clouds(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "a.npy", POINTS)
    hdf5(tmp_path / "labelled.h5")

    def read() -> None:
        source = FolderSource(FolderSettings(directory=str(tmp_path), classes="all"), 0)
        for class_name, objects in next(iter(source.objects().values())).items():
            for name in objects:
                source.load(class_name, name)

    read()
    fuzz_file(tmp_path / "labelled.h5", read)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["label.npy", "data_original.npy"])
def test_the_release(name, tmp_path):
    np.save(tmp_path / "label.npy", np.zeros((2, 1), np.int64))
    np.save(tmp_path / "data_original.npy", np.zeros((2, 1024, 3), np.float32))
    fuzz_file(tmp_path / name, lambda: ModelNet40C(ModelNet40CSettings(directory=str(tmp_path)), 0))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["ply_data_test0.h5", "ply_data_test_0_id2file.json"])
def test_modelnet40(name, tmp_path):
    folder = tmp_path / "modelnet40_ply_hdf5_2048"
    folder.mkdir()
    for split in ("test", "train"):
        hdf5(folder / f"ply_data_{split}0.h5")
        (folder / f"ply_data_{split}_0_id2file.json").write_text('["chair/chair_0001.ply"]')
    settings = ModelNet40Settings(directory=str(tmp_path), classes=("chair", "bed"), corruptions=())

    def read() -> None:
        ModelNet40(settings, 0).load("chair", "chair_0001")

    read()
    fuzz_file(folder / name, read)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", ["safetensors", "pth", "old.pth"])
def test_checkpoints(suffix, tmp_path):
    path = tmp_path / f"model.{suffix}"
    if suffix == "safetensors":
        from safetensors.torch import save_file

        save_file({"weight": torch.ones(2, 3)}, path)
    else:
        legacy = suffix == "old.pth"
        torch.save({"net": {"weight": torch.ones(2, 3)}}, path, _use_new_zipfile_serialization=not legacy)
    read_checkpoint(path)
    fuzz_file(path, lambda: read_checkpoint(path))


def png(path: Path) -> None:
    write_png(path, np.zeros((8, 8, 3), np.uint8))


def photograph(path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (8, 9, 3), np.uint8)).save(path)


ARTEFACTS: dict[str, tuple[Callable[[Path], object], Callable[[Path], object]]] = {
    "a.png": (png, lambda path: (read_picture(path), read_png(path))),
    "a.jpg": (photograph, read_picture),
    "a.webp": (photograph, read_picture),
    "a.tif": (photograph, read_picture),
    "a.gif": (photograph, read_picture),
    "a.csv": (lambda path: path.write_text("cloud_id,x\na,1\n"), lambda path: read_csv(path, ["cloud_id"])),
    "a.json": (lambda path: path.write_text('{"a": [1, null, "b"]}'), read_json),
    "a.h5": (hdf5, read_hdf5),
    "a.safetensors": (Affine(POINTS, POINTS[0]).save, load_predictor),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ARTEFACTS)
def test_artefacts(name, tmp_path):
    write, read = ARTEFACTS[name]
    write(tmp_path / name)
    fuzz_file(tmp_path / name, lambda: read(tmp_path / name))


OPTIONS: dict[str, tuple[Callable[[Path], object], Callable[[Path], object]]] = {
    "palette.json": (lambda path: path.write_text('{"0": "#0072b2", "1": "red"}'), read_palette),
    "poses.json": (
        lambda path: path.write_text('[{"azimuth": 1.5}]'),
        lambda path: read_poses(path, Camera()),
    ),
    "labels.npy": (lambda path: np.save(path, np.arange(20)), lambda path: labels(path)),
    "labels.txt": (lambda path: np.savetxt(path, np.arange(20)), lambda path: labels(path)),
    "labels.label": (lambda path: np.arange(20, dtype="<u4").tofile(path), lambda path: labels(path)),
}


def labels(path: Path) -> None:
    read_numbers(str(path), Item(path, None, "a"), Cloud(POINTS), "labels")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", OPTIONS)
def test_files_of_options(name, tmp_path):
    write, read = OPTIONS[name]
    write(tmp_path / name)
    read(tmp_path / name)
    fuzz_file(tmp_path / name, lambda: read(tmp_path / name))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["index.json", "000000.items.npy", "000000.vectors.npy"])
def test_an_index(name, tmp_path):
    with writing(tmp_path):
        Store.create(tmp_path, 3, {}).append(POINTS, encode([{"id": str(row)} for row in range(20)]))

    def read() -> None:
        store = Store(tmp_path)
        store.vectors(np.arange(len(store)))
        store.column("id")

    fuzz_file(tmp_path / name, read)


def test_the_check_of_a_clips_files(tmp_path):
    """Without the libraries that read them."""
    for name in ("config.json", "preprocessor_config.json", "tokenizer.json"):
        (tmp_path / name).write_text('{"size": {"height": 224}, "vision_config": {"hidden_size": 8}}')
    fuzz_file(tmp_path / "preprocessor_config.json", lambda: check_files(tmp_path, "transformers"))
    config = tmp_path / "open_clip_config.json"
    config.write_text('{"model_cfg": {"text_cfg": {"hf_tokenizer_name": "a"}}, "preprocess_cfg": {}}')
    fuzz_file(config, lambda: check_files(tmp_path, "open_clip"))


def transformers_clip(directory: Path) -> None:
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTokenizer

    tower = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    words = [letter + end for letter in "abcdefghijklmnopqrstuvwxyz" for end in ("", "</w>")]
    vocabulary = {word: number for number, word in enumerate([*words, "<|startoftext|>", "<|endoftext|>"])}
    text = tower | {"vocab_size": len(vocabulary), "max_position_embeddings": 16, "eos_token_id": 53}
    vision = tower | {"image_size": 16, "patch_size": 8}
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)).save_pretrained(directory)
    CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=16).save_pretrained(directory)
    CLIPImageProcessor(size={"shortest_edge": 16}, crop_size=16).save_pretrained(directory)


def open_clip_clip(directory: Path) -> None:
    import open_clip
    from safetensors.torch import save_file

    tower = {"width": 8, "layers": 1}
    text = tower | {"context_length": 16, "vocab_size": 49408, "heads": 1}
    vision = tower | {"image_size": 16, "patch_size": 8, "head_width": 8}
    architecture = {"embed_dim": 8, "vision_cfg": vision, "text_cfg": text}
    preprocess = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "shortest"}
    directory.mkdir()
    configuration = {"model_cfg": architecture, "preprocess_cfg": preprocess}
    (directory / "open_clip_config.json").write_text(json.dumps(configuration))
    save_file(open_clip.CLIP(**architecture).state_dict(), directory / "open_clip_model.safetensors")


CLIPS = {"transformers": transformers_clip, "open_clip": open_clip_clip}


@pytest.mark.slow  # a load takes 50 ms
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("backend", "name"),
    [
        ("transformers", "config.json"),
        ("transformers", "model.safetensors"),
        ("transformers", "preprocessor_config.json"),
        ("transformers", "tokenizer.json"),
        ("transformers", "tokenizer_config.json"),
        ("open_clip", "open_clip_config.json"),
        ("open_clip", "open_clip_model.safetensors"),
    ],
)
def test_a_clip(backend, name, tmp_path):
    directory = tmp_path / "clip"
    CLIPS[backend](directory)
    pictures = np.zeros((1, 16, 16, 3), np.uint8)

    def read() -> None:
        encoder = load_clip("fuzzed", backend, directory, "cpu")
        encoder.encode_prompts(["a b"])
        encoder.encode_images(pictures)

    read()
    fuzz_file(directory / name, read)


def test_archives(tmp_path):
    import shutil
    import zipfile

    path = tmp_path / "data.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("data/a.txt", "text" * 100)
        file.writestr("data/b/c.txt", "text")

    def read() -> None:
        shutil.rmtree(tmp_path / "data", ignore_errors=True)
        unpack(path, tmp_path / "data", 10_000)

    read()
    fuzz_file(path, read)
    assert {each.name for each in tmp_path.iterdir()} <= {"data", "data.zip"}  # nothing outside


def test_the_table_of_downloads(root, tmp_path):
    path = tmp_path / "sources.csv"
    path.write_bytes((root / "data/sources.csv").read_bytes())
    fuzz_file(path, lambda: read_remotes(path))


# ------------------------------------------------------------------------------------------ parameters

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8),
    st.sampled_from(["all", "train", "~", "{", "."]),
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=4,
)


def places(node: Any, path: tuple = ()) -> Iterator[tuple]:
    """Paths of all keys of nested mappings and lists."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from places(value, (*path, key))


def test_params(root, params, monkeypatch):
    monkeypatch.chdir(root)
    remotes = read_remotes(root / "data/sources.csv")
    every = list(places(params))
    edits = st.lists(st.tuples(st.sampled_from(every), values), min_size=1, max_size=3)

    def run(changes: list[tuple[tuple, Any]]) -> None:
        changed = copy.deepcopy(params)
        for path, value in changes:
            node = changed
            for key in path[:-1]:
                node = node[key] if isinstance(node, dict) and key in node else SimpleNamespace()
            if isinstance(node, dict):
                node[path[-1]] = value
        resolve([("params.yaml", changed)], remotes)

    fuzz(edits, run)


def test_the_text_of_params(root, tmp_path):
    from pointspider.study.config.load import load

    path = tmp_path / "params.yaml"
    path.write_bytes((root / "params.yaml").read_bytes())
    assert yaml.safe_load(path.read_text(encoding="utf-8"))
    fuzz_file(path, lambda: load([path]))
