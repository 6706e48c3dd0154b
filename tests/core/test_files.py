"""Files: atomic when written, checked when read."""

import os
import stat
import struct
import subprocess
import sys
import zlib

import h5py
import numpy as np
import pandas as pd
import pytest

from pointspider.core.errors import InputError
from pointspider.core.files import (
    Group,
    atomic,
    content_hash,
    find_files,
    read_csv,
    read_hdf5,
    read_json,
    read_png,
    remove_empty_folders,
    write_csv,
    write_hdf5,
    write_json,
    write_png,
    write_text,
)


def fail_halfway(target):
    with atomic(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError("boom")


def test_atomic_leaves_nothing_behind_when_the_block_fails(tmp_path):
    target = tmp_path / "deep" / "file.txt"
    with pytest.raises(RuntimeError, match="boom"):
        fail_halfway(target)
    assert list(target.parent.iterdir()) == []


def test_atomic_keeps_the_old_file_until_the_new_one_is_whole(tmp_path):
    target = tmp_path / "file.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError, match="boom"):
        fail_halfway(target)
    assert target.read_text() == "old"
    with atomic(target) as temporary:
        temporary.write_text("new")
    assert target.read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["file.txt"]


def test_a_temporary_file_matches_no_pattern_of_its_extension(tmp_path):
    with atomic(tmp_path / "clouds.h5") as temporary:
        temporary.write_text("half")
        assert temporary in list(tmp_path.iterdir())
        assert list(tmp_path.rglob("*.h5")) == []


def test_permissions_follow_the_umask_which_stays(tmp_path):
    old = os.umask(0o027)
    try:
        write_text(tmp_path / "file.txt", "text")
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "file.txt").stat().st_mode) == 0o640


def test_text_is_utf8_in_any_locale(tmp_path):
    code = (
        "import pandas as pd; from pointspider.core import files\n"
        "files.write_text('a.txt', '\\u6905'); files.write_json('b.json', {'name': '\\u6905'})\n"
        "files.write_csv('c.csv', pd.DataFrame({'class': ['\\u6905']}))\n"
        "assert files.read_json('b.json') == {'name': '\\u6905'}\n"
        "assert files.read_csv('c.csv')['class'][0] == '\\u6905'\n"
    )
    locale = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=locale, check=True)
    assert (tmp_path / "a.txt").read_bytes() == "椅".encode()


def test_empty_folders_are_removed_up_to_one_in_use(tmp_path):
    (tmp_path / "objects/none").mkdir(parents=True)
    (tmp_path / "classes/none").mkdir(parents=True)
    remove_empty_folders(tmp_path / "objects/none")
    assert [path.name for path in tmp_path.iterdir()] == ["classes"]
    (tmp_path / "classes/layer.safetensors").touch()
    remove_empty_folders(tmp_path / "classes")
    assert len(list(tmp_path.glob("classes/*"))) == 2


def test_files_are_found_through_links_once_and_without_hidden_ones(tmp_path):
    for name in ("in/b/2.txt", "in/a/1.txt", "in/.hidden/3.txt", "in/b/._2.txt", "elsewhere/4.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "in/c").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/back").symlink_to(tmp_path / "in")
    found = [path.relative_to(tmp_path / "in").as_posix() for path in find_files(tmp_path / "in")]
    assert found == ["a/1.txt", "b/2.txt", "c/4.txt"]


def test_png_round_trip_and_truncation(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    path = tmp_path / "image.png"
    write_png(path, image)
    np.testing.assert_array_equal(read_png(path), image)
    write_png(tmp_path / "alpha.png", np.dstack([image, image[..., :1]]))
    np.testing.assert_array_equal(read_png(tmp_path / "alpha.png"), image)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(InputError, match=r"image\.png: not a complete image"):
        read_png(path)
    with pytest.raises(InputError, match=r"missing\.png"):
        read_png(tmp_path / "missing.png")
    with pytest.raises(TypeError, match=r"not uint8 \(9, 7, 2\)"):
        write_png(path, image[..., :2])
    header = b"IHDR" + struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    end = b"\0\0\0\0IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
    path.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\x0d" + header + struct.pack(">I", zlib.crc32(header)) + end)
    with pytest.raises(InputError, match=r"image\.png: not a complete image .*exceeds limit"):
        read_png(path)


def test_hdf5_round_trip_same_bytes(tmp_path):
    groups = [
        (
            "uniform_1",
            Group({"points": np.ones((2, 3, 3), np.float32), "cloud_id": np.array(["a", "b"])}, {"n": 2}),
        ),
        ("original", Group({"points": np.zeros((0, 3, 3), np.float32)}, {})),
    ]
    for name in ("one.h5", "two.h5"):
        write_hdf5(tmp_path / name, iter(groups))
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "two.h5").read_bytes()
    found = read_hdf5(tmp_path / "one.h5")
    assert list(found) == ["uniform_1", "original"]
    assert found["uniform_1"].arrays["cloud_id"].tolist() == ["a", "b"]
    assert found["uniform_1"].arrays["points"].dtype == np.float32
    assert found["uniform_1"].attributes["n"] == 2


def test_hdf5_that_was_cut_or_changed_is_refused(tmp_path):
    path = tmp_path / "clouds.h5"
    write_hdf5(path, [("original", Group({"points": np.arange(3000.0)}, {}))])
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"clouds\.h5: is damaged, it does not match its checksum"):
        read_hdf5(path)
    path.write_bytes(whole)
    with h5py.File(path, "r+") as file:
        file["original/points"][5] = -1.0
    with pytest.raises(InputError, match=r"clouds\.h5: is damaged, it does not match its checksum"):
        read_hdf5(path)
    with h5py.File(path, "w") as file:
        file["original/points"] = np.arange(3.0)
    with pytest.raises(InputError, match=r"clouds\.h5: has no checksum of this program"):
        read_hdf5(path)


def test_content_hash_sees_dtype_and_shape():
    zeros = np.zeros(4, np.float32)
    hashes = {content_hash(zeros), content_hash(zeros.astype(np.float64)), content_hash(zeros.reshape(2, 2))}
    assert len(hashes) == 3


def test_csv_keeps_leading_zeros_and_names_missing_columns(tmp_path):
    path = tmp_path / "objects.csv"
    write_csv(path, pd.DataFrame({"class": ["chair"], "object": ["0003"]}))
    assert read_csv(path, ["object"])["object"].tolist() == ["0003"]
    write_csv(path, pd.DataFrame({"class": ["02691156"], "object": ["NA"], "l1": [None]}))
    assert read_csv(path).iloc[0, :2].tolist() == ["02691156", "NA"]
    assert read_csv(path)["l1"].isna().all()
    with pytest.raises(InputError, match=r"objects\.csv: lacks the columns \['role'\]"):
        read_csv(path, ["role"])
    path.unlink()
    path.write_text("")
    with pytest.raises(InputError, match=r"objects\.csv: cannot be read as CSV"):
        read_csv(path)


def test_json_round_trip(tmp_path):
    write_json(tmp_path / "a.json", {"a": 1})
    assert read_json(tmp_path / "a.json") == {"a": 1}
    (tmp_path / "a.json").unlink()
    for damaged in ("{", "[" * 100_000):
        (tmp_path / "a.json").unlink(missing_ok=True)
        (tmp_path / "a.json").write_text(damaged)
        with pytest.raises(InputError, match=r"a\.json: cannot be read as JSON"):
            read_json(tmp_path / "a.json")
