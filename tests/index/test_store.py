"""Files of an index: checksums, interruption, merging, removal."""

import json
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from pointspider.core.errors import InputError
from pointspider.index import store as store_module
from pointspider.index.store import Store, encode, writing


def rows(count, seed=0):
    values = np.random.default_rng(seed).normal(size=(count, 4)).astype(np.float32)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def items(start, count):
    return encode(
        [
            {"id": f"é/{number}", "path": f"/x/{number}", "points": number}
            for number in range(start, start + count)
        ]
    )


@pytest.fixture
def store(tmp_path):
    store = Store.create(tmp_path / "index", 4, {"encoder": "e"})
    store.append(rows(3), items(0, 3))
    store.append(rows(2, 1), items(3, 2))
    return store


def test_rows_and_items_are_read_back(store):
    again = Store(store.directory)
    assert (len(again), again.models) == (5, {"encoder": "e"})
    np.testing.assert_array_equal(
        again.vectors(np.array([4, 0, 3])), np.concatenate([rows(2, 1)[1:], rows(3)[:1], rows(2, 1)[:1]])
    )
    assert again.item(4)["id"] == "é/4"
    assert again.item(2)["points"] == 2
    assert again.column("id").tolist() == [f"é/{n}".encode() for n in range(5)]
    again.verify()


def test_merging_keeps_rows_and_limits_segments(store, monkeypatch):
    store.append(rows(30, 2), items(5, 30))
    expected = store.vectors(np.arange(35))
    monkeypatch.setattr(store_module, "SEGMENT_BYTES", 4 * 4 * 31)
    store.merge()
    assert [segment.rows for segment in store.segments] == [5, 30]
    np.testing.assert_array_equal(store.vectors(np.arange(35)), expected)
    assert store.item(34)["id"] == "é/34"
    assert len(list(store.directory.glob("*.npy"))) == 4
    store.verify()


def test_removing_rows(store):
    generation = store.generation
    store.drop(np.array([True, True, True, False, True]))
    assert store.column("id").tolist() == ["é/3".encode()]
    assert store.generation == generation + 1
    store.drop(np.zeros(1, dtype=bool))
    assert store.generation == generation + 1


def test_files_that_the_manifest_does_not_list_are_ignored_and_then_deleted(store):
    (store.directory / "000009.vectors.npy").write_bytes(b"half")
    (store.directory / ".000009.items.npy.ab.tmp").write_bytes(b"half")
    again = Store(store.directory)
    assert len(again) == 5
    again.clean()
    assert not list(store.directory.glob("*9*")) + list(store.directory.glob(".*.tmp"))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda d: (d / "index.json").unlink(), "not an index"),
        (lambda d: (d / "index.json").write_text("{"), "cannot be read as JSON|is damaged"),
        (
            lambda d: (d / "index.json").write_text((d / "index.json").read_text().replace('"e"', '"f"')),
            "checksum",
        ),
        (lambda d: next(d.glob("*.vectors.npy")).unlink(), "missing or damaged"),
        (lambda d: next(d.glob("*.vectors.npy")).write_bytes(b"\x93NUMPY"), "missing or damaged"),
        (lambda d: np.save(next(d.glob("*.vectors.npy")), np.ones((3, 5))), "the shape is"),
    ],
)
def test_damaged_files_are_refused(store, damage, message):
    damage(store.directory)
    with pytest.raises(InputError, match=message):
        Store(store.directory)


def test_changed_rows_are_found_by_their_checksum(store):
    path = store.directory / "000000.vectors.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"000000\.vectors\.npy: is damaged"):
        Store(store.directory).vectors(np.zeros(1, np.int64))
    with pytest.raises(InputError, match=r"000000\.vectors\.npy: is damaged"):
        Store(store.directory).verify()


def test_another_format_is_refused(store, monkeypatch):
    monkeypatch.setattr(store_module, "FORMAT", 2)
    with pytest.raises(InputError, match="format 1; this version reads format 2"):
        Store(store.directory)


def test_a_directory_with_other_files_is_not_used(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(InputError, match=r"contains thesis\.tex"):
        Store.create(tmp_path, 4, {})
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_two_writers_exclude_each_other(tmp_path):
    code = f"""
        from pointspider.index.store import writing
        with writing({str(tmp_path)!r}):
            print("locked", flush=True)
            input()
    """
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout.readline() == "locked\n"
    with pytest.raises(InputError, match="another process is writing this index"), writing(tmp_path):
        pass
    child.kill()  # the lock ends with the process, however it ends
    child.wait()
    with writing(tmp_path):
        pass


def test_the_manifest_is_readable(store):
    manifest = json.loads((store.directory / "index.json").read_text())
    assert [segment["rows"] for segment in manifest["segments"]] == [3, 2]
