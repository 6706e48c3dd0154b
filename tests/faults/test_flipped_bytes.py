"""One byte of every kind of artefact flips: a reader names the file, or reads the same values."""

import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from pointspider.core.errors import InputError
from pointspider.core.files import (
    Group,
    read_csv,
    read_hdf5,
    read_json,
    read_png,
    write_csv,
    write_hdf5,
    write_json,
    write_png,
    write_text,
)
from pointspider.encoders.images.clip import load_clip
from pointspider.encoders.images.settings import TinyClipSettings
from pointspider.encoders.images.tiny_clip import save_clip, train_clip
from pointspider.encoders.points.registry import (
    create_point_encoder,
    load_point_encoder,
    save_point_encoder,
)
from pointspider.index.approximate import Approximate
from pointspider.index.store import Store, encode, writing
from pointspider.mappers.affine import Affine
from pointspider.mappers.files import load_predictor
from pointspider.mappers.network import Mapper
from pointspider.study.cloud_files import read_clouds
from pointspider.study.embeddings import read_embeddings, read_prompts, write_embeddings, write_prompts
from pointspider.study.report.contents import Page
from pointspider.study.report.pages import render_page
from pointspider.training.checkpoint import Checkpoint

#: Flips per file, at seeded places; the first bytes, where the formats have their magic numbers, count too.
FLIPS, FIRST = 24, 4
RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(6, 8)).astype(np.float32)
IDS = [f"chair/clean/{number}" for number in range(6)]

Artefact = tuple[Path, Callable[[], Any]]


def flatten(value: Any) -> bytes:
    """Bytes that are equal only for equal values."""
    if isinstance(value, torch.Tensor):
        value = value.numpy()
    if isinstance(value, np.ndarray):
        content = repr(value.tolist()).encode() if value.dtype == object else value.tobytes()
        return f"{value.dtype}{value.shape}".encode() + content
    if isinstance(value, Group):
        return flatten({**value.arrays, **value.attributes})
    if isinstance(value, dict):
        return b"".join(repr(key).encode() + flatten(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return b"".join(map(flatten, value))
    return repr(value).encode()


def render(folder: Path) -> Artefact:
    path = folder / "render.png"
    write_png(path, RNG.integers(0, 255, (24, 24, 3), dtype=np.uint8))
    return path, lambda: read_png(path)


def clouds(folder: Path) -> Artefact:
    path = folder / "chair.h5"
    points = RNG.normal(size=(6, 16, 3)).astype(np.float32)
    group = Group({"cloud_id": np.array(IDS, dtype=object), "points": points}, {"severity": 0})
    write_hdf5(path, [("clean", group), ("uniform_1", group)])
    return path, lambda: (read_clouds(path), read_hdf5(path))


def table(folder: Path) -> Artefact:
    path = folder / "table.csv"
    write_csv(path, pd.DataFrame({"cloud_id": IDS, "l1": ROWS[:, 0]}))
    return with_attributes(path), lambda: read_csv(path).values.tolist()


def facts(folder: Path) -> Artefact:
    path = folder / "table.json"
    write_json(path, {"preset": "embedded", "rows": ROWS.tolist()})
    return with_attributes(path), lambda: read_json(path)


def plot(folder: Path) -> Artefact:
    path = folder / "plots/alignment.svg"
    write_text(path, f"<svg><text>{IDS}</text></svg>")
    return with_attributes(path), lambda: render_page(Page("Plots", "Alignment", ""), path)


def with_attributes(path: Path) -> Path:
    if not hasattr(os, "listxattr") or not os.listxattr(path):
        pytest.skip("the file system has no extended attributes")
    return path


def embedding(folder: Path) -> Artefact:
    path = folder / "points.h5"
    write_embeddings(path, [("chair", IDS, {"global": ROWS})], "pointnet", "embedded")
    return path, lambda: read_embeddings(path, "global", IDS)


def prompts(folder: Path) -> Artefact:
    path = folder / "prompts.h5"
    write_prompts(path, ["a", "b"], {"model": [["a a"], ["a b"]]}, {"model": ROWS[:2]}, "clip", "embedded")
    return path, lambda: read_prompts(path, "model")


def fit(folder: Path) -> Artefact:
    path = folder / "ridge.safetensors"
    Affine(ROWS, ROWS[0], {"lambda": 0.1}).save(path)

    def read():
        predictor = load_predictor(path)
        return predictor.weight, predictor.bias, predictor.facts

    return path, read


def mapper(norm: str) -> Callable[[Path], Artefact]:
    def write(folder: Path) -> Artefact:
        path = folder / "seed_0_last.safetensors"
        torch.manual_seed(0)
        Mapper(8, 4, norm, 4).save(path)
        return path, lambda: load_predictor(path).predict(ROWS)

    return write


def point_encoder(folder: Path) -> Artefact:
    path = folder / "model.safetensors"
    torch.manual_seed(0)
    save_point_encoder(path, "pointnet_vanilla", create_point_encoder("pointnet_vanilla", 3))
    return path, lambda: dict(load_point_encoder("pointnet_vanilla", path, "cpu").state_dict())


def training_state(folder: Path) -> Artefact:
    checkpoint = Checkpoint(folder / "state.safetensors", "identity")
    checkpoint.save({"model": {"weight": torch.from_numpy(ROWS)}, "history": [{"loss": 0.5}]})

    def read():
        state = checkpoint.load()
        assert state is not None, "taken for another training"
        return state

    return checkpoint.path, read


def index_file(name: str) -> Callable[[Path], Artefact]:
    def write(folder: Path) -> Artefact:
        directory = folder / "a.index"
        with writing(directory):
            store = Store.create(directory, 8, {})
            store.append(ROWS, encode([{"id": name, "class": "chair"} for name in IDS]))

        def read():
            opened = Store(directory)
            return opened.vectors(np.arange(6)), [opened.item(row) for row in range(6)]

        return directory / name, read

    return write


def approximate(name: str) -> Callable[[Path], Artefact]:
    def write(folder: Path) -> Artefact:
        pytest.importorskip("faiss")
        directory = folder / "a.index"
        rows = np.random.default_rng(1).normal(size=(2000, 8)).astype(np.float32)
        with writing(directory):
            store = Store.create(directory, 8, {})
            store.append(rows, encode([{"id": str(row)} for row in range(2000)]))
            Approximate.build(store)
        return directory / name, lambda: Approximate.open(store).candidates(rows[0], 10)

    return write


KINDS = {
    "render": render,
    "clouds": clouds,
    "table": table,
    "provenance of a table": facts,
    "plot": plot,
    "embedding": embedding,
    "prompts": prompts,
    "fit": fit,
    "mapper BASE": mapper("none"),
    "mapper LNORM": mapper("layer"),
    "point encoder": point_encoder,
    "state of a training": training_state,
    "vectors of an index": index_file("000000.vectors.npy"),
    "items of an index": index_file("000000.items.npy"),
    "manifest of an index": index_file("index.json"),
    "approximate.json": approximate("approximate.json"),
    "approximate.faiss": approximate("approximate.faiss"),
}


def flip_and_read(name: str, path: Path, read: Callable[[], Any]) -> None:
    """Flip bytes of `path`, one at a time."""
    content = path.read_bytes()
    expected = flatten(read())
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    detected = 0
    for position in [*range(FIRST), *rng.integers(0, len(content), FLIPS).tolist()]:
        damaged = bytearray(content)
        damaged[position] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        found, message = None, ""
        try:
            found = flatten(read())
        except InputError as error:
            message = str(error)
        assert found == expected or str(path) in message, f"a flip at byte {position}: {message}"
        detected += bool(message)
    assert detected >= FLIPS
    path.write_bytes(content)
    assert flatten(read()) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_a_flipped_byte_is_detected(kind, tmp_path):
    flip_and_read(kind, *KINDS[kind](tmp_path))


@pytest.mark.parametrize("file", ["open_clip_model.safetensors", "open_clip_config.json"])
def test_a_flipped_byte_of_a_trained_clip_is_detected(file, tmp_path):
    settings = TinyClipSettings(
        patch=8,
        width=32,
        layers=1,
        text_width=32,
        text_layers=1,
        projection=16,
        epochs=1,
        learning_rate=1e-3,
        weight_decay=0.1,
    )
    images = RNG.integers(0, 255, (4, 16, 16, 3), dtype=np.uint8)
    model, _ = train_clip(images, np.array([0, 1, 0, 1]), ["a red ball", "a blue cone"], settings, 0)
    save_clip(tmp_path / "clip", model, settings)
    flip_and_read(
        file,
        tmp_path / "clip" / file,
        lambda: load_clip("tiny", "open_clip", tmp_path / "clip", "cpu").encode_images(images),
    )
