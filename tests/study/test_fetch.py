"""Downloads and archives, from an HTTP server in this process that can misbehave."""

import email.utils
import errno
import hashlib
import http.server
import os
import re
import stat
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import requests
import yaml

from pointspider.clouds.sources.modelnet40c import RELEASED, points_per_cloud
from pointspider.core.errors import InputError
from pointspider.study import fetch
from pointspider.study.cloud_files import read_clouds
from pointspider.study.fetch import provide, unpack
from pointspider.study.remote import Remote, is_intact, read_remotes

CONTENT = os.urandom(3 << 20)  # many chunks


class Server(http.server.ThreadingHTTPServer):
    """Serves `files` and records the Range of every request.

    Attributes:
        drops: bytes of an answer after which the connection ends, one number per answer.
        statuses: errors with which the next requests are answered.
        headers: of those errors.
        ranges: whether it supports Range.
        lengths: whether it sends Content-Length.
    """

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.drops: list[int] = []
        self.statuses: list[int] = []
        self.headers: dict[str, str] = {}
        self.agents: set[str] = set()
        self.asked: list[tuple[str, str | None]] = []
        self.ranges = self.lengths = True

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{name}"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server, name, wanted = self.server, self.path[1:], self.headers["Range"]
        server.asked.append((name, wanted))
        server.agents.add(self.headers["User-Agent"])
        if server.statuses:
            return self.fail(server.statuses.pop(0), server.headers)
        if name not in server.files:
            return self.send_error(404)
        content = server.files[name]
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and server.ranges else 0
        if start >= len(content):
            return self.fail(416, {"Content-Range": f"bytes */{len(content)}"} if server.lengths else {})
        self.send_response(206 if start else 200)
        if server.lengths:
            self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        end = start + server.drops.pop(0) if server.drops else len(content)
        self.wfile.write(content[start:end])

    def fail(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": "0"}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(fetch, "BACK_OFF", 0.001)
    server = Server()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def remote(server: Server, *names: str, path="data/clouds.bin", content=CONTENT, **changes) -> Remote:
    """A row of the table for `content` below the URLs `names`."""
    return Remote(
        name="clouds", version="release 1", path=path, bytes=len(content), unpacked_limit=1000,
        checksum=f"md5:{hashlib.md5(content).hexdigest()}", licence="",
        urls=tuple(map(server.url, names)),
    )._replace(**changes)  # fmt: skip


def hidden(directory: Path) -> list[str]:
    return [path.name for path in directory.rglob(".*")]


# --------------------------------------------------------------------------------------------- downloads


def test_the_checksum_of_git(tmp_path):
    """As `echo hello | git hash-object --stdin` computes it."""
    (tmp_path / "a").write_bytes(b"hello\n")
    row = Remote("a", "", "a", None, None, "git:ce013625030ba8dba906f756967f9e9ca394464a", "", ())
    assert is_intact(row, tmp_path / "a")
    (tmp_path / "a").write_bytes(b"hallo\n")
    assert not is_intact(row, tmp_path / "a")


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
@pytest.mark.parametrize("size", [len(CONTENT), None])
def test_a_file_is_fetched_and_verified(server, tmp_path, algorithm, size):
    server.files["a"] = CONTENT
    checksum = f"{algorithm}:{hashlib.new(algorithm, CONTENT).hexdigest()}"
    provide(remote(server, "a", checksum=checksum, bytes=size), tmp_path)
    path = tmp_path / "data/clouds.bin"
    assert path.read_bytes() == CONTENT
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask()
    assert hidden(tmp_path) == []
    provide(remote(server, "a"), tmp_path)
    assert server.asked == [("a", None)]  # what is there is not fetched again


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize("lengths", [True, False])
def test_a_dropped_connection_is_resumed_where_it_ended(server, tmp_path, lengths):
    """The second answer ends early too. A server that tells no length just seems to be at the end."""
    server.files["a"], server.drops, server.lengths = CONTENT, [1_500_000, 500_000], lengths
    provide(remote(server, "a"), tmp_path)
    assert (tmp_path / "data/clouds.bin").read_bytes() == CONTENT
    whole, first, second = [int((wanted or "=0-").split("=")[1][:-1]) for _, wanted in server.asked]
    assert (whole, first // fetch.CHUNK, second // fetch.CHUNK) == (
        0, 1_500_000 // fetch.CHUNK, (first + 500_000) // fetch.CHUNK,
    )  # fmt: skip


def test_a_later_run_continues_the_download_of_a_killed_one(server, tmp_path):
    (tmp_path / "data").mkdir()
    fetch._part(tmp_path / "data/clouds.bin", server.url("a")).write_bytes(CONTENT[:1000])
    server.files["a"] = CONTENT
    provide(remote(server, "a"), tmp_path)
    assert (tmp_path / "data/clouds.bin").read_bytes() == CONTENT
    assert server.asked == [("a", "bytes=1000-")]
    assert hidden(tmp_path) == []


def test_a_server_without_ranges_sends_all_again(server, tmp_path):
    server.files["a"], server.drops, server.ranges = CONTENT, [1_500_000], False
    provide(remote(server, "a"), tmp_path)
    assert (tmp_path / "data/clouds.bin").read_bytes() == CONTENT


def test_a_part_longer_than_the_file_is_deleted(server, tmp_path):
    (tmp_path / "data").mkdir()
    fetch._part(tmp_path / "data/clouds.bin", server.url("a")).write_bytes(CONTENT + b"more")
    server.files["a"] = CONTENT
    provide(remote(server, "a"), tmp_path)
    assert (tmp_path / "data/clouds.bin").read_bytes() == CONTENT


def test_pauses_grow_while_a_server_is_busy(server, tmp_path, monkeypatch):
    pauses = []
    monkeypatch.setattr(fetch.time, "sleep", pauses.append)
    server.files["a"], server.statuses = CONTENT, [503, 429, 500]
    provide(remote(server, "a"), tmp_path)
    assert pauses == [0.001, 0.002, 0.004]


def test_a_pause_that_a_server_asks_for_is_respected_up_to_a_bound(server, tmp_path, monkeypatch):
    pauses = []
    monkeypatch.setattr(fetch.time, "sleep", pauses.append)
    server.files["a"], server.statuses, server.headers = CONTENT, [429, 503], {"Retry-After": "60"}
    provide(remote(server, "a"), tmp_path)
    assert pauses == [60, 60]
    date = email.utils.formatdate(time.time() + 100, usegmt=True)
    server.statuses, server.headers = [429], {"Retry-After": date}
    provide(remote(server, "a"), tmp_path / "second")
    assert pauses[2] == pytest.approx(100, abs=2)
    server.statuses, server.headers = [429], {"Retry-After": "3600"}
    with pytest.raises(InputError, match="asks for a pause of 3,600 seconds; run again after it"):
        provide(remote(server, "a"), tmp_path / "third")
    assert len(pauses) == 3


def test_a_timeout_of_the_server_is_retried_and_a_refusal_is_not(server, tmp_path):
    server.files["a"], server.statuses = CONTENT, [408]
    provide(remote(server, "a"), tmp_path)
    server.statuses = [403, 403]
    with pytest.raises(InputError, match="403 Client Error"):
        provide(remote(server, "a"), tmp_path / "second")
    assert server.statuses == [403]


def test_servers_see_the_name_of_the_project(server, tmp_path):
    """Zenodo refuses the default name of the HTTP library."""
    server.files["a"] = CONTENT
    provide(remote(server, "a"), tmp_path)
    assert all(re.fullmatch(r"pointspider/[\d.]+ \(.*https://.*\)", agent) for agent in server.agents)


@pytest.mark.parametrize("size", [len(CONTENT), None])
def test_a_finished_download_survives_an_interrupted_verification(server, tmp_path, monkeypatch, size):
    def interrupt(*_):
        raise KeyboardInterrupt

    server.files["a"] = CONTENT
    with monkeypatch.context() as patch:
        patch.setattr(fetch, "is_intact", interrupt)
        with pytest.raises(KeyboardInterrupt):
            provide(remote(server, "a", bytes=size), tmp_path)
    provide(remote(server, "a", bytes=size), tmp_path)
    assert (tmp_path / "data/clouds.bin").read_bytes() == CONTENT
    assert server.asked[1:] == ([] if size else [("a", f"bytes={len(CONTENT)}-")])


def test_a_missing_file_is_taken_from_the_mirror_at_once(server, tmp_path):
    server.files["b"] = CONTENT
    provide(remote(server, "a", "b"), tmp_path)
    assert (tmp_path / "data/clouds.bin").read_bytes() == CONTENT
    assert [name for name, _ in server.asked] == ["a", "b"]


def test_a_wrong_checksum_is_not_trusted_and_the_mirror_is_tried(server, tmp_path):
    wrong = b"x" * len(CONTENT)
    server.files |= {"a": wrong, "b": wrong}
    with pytest.raises(
        InputError, match=r"clouds\.bin: could not be downloaded:(.|\n)*does not have the checksum md5:"
    ):
        provide(remote(server, "a", "b"), tmp_path)
    assert [name for name, _ in server.asked] == ["a", "b"]
    assert [path for path in (tmp_path / "data").iterdir()] == []
    server.files["b"] = CONTENT
    provide(remote(server, "a", "b"), tmp_path)
    assert (tmp_path / "data/clouds.bin").read_bytes() == CONTENT


def test_a_truncated_file_on_the_server_is_refused_before_it_is_loaded(server, tmp_path):
    server.files["a"] = CONTENT[:-1]
    with pytest.raises(InputError, match=r"the file there has 3,145,727 bytes, not 3,145,728"):
        provide(remote(server, "a"), tmp_path)
    assert hidden(tmp_path) == []


def test_a_server_that_never_gets_further_is_given_up(server, tmp_path):
    server.files["a"], server.drops = CONTENT, [1000] + [0] * 50
    with pytest.raises(InputError, match="could not be downloaded"):
        provide(remote(server, "a"), tmp_path)
    assert len(server.asked) == fetch.ATTEMPTS
    assert not (tmp_path / "data/clouds.bin").exists()


def test_a_server_without_ranges_that_drops_here_and_there_is_given_up(server, tmp_path):
    """More bytes than before count as progress only if they are more than ever."""
    server.files["a"], server.ranges = CONTENT, False
    server.drops = [200_000, 100_000] * 50
    with pytest.raises(InputError, match="could not be downloaded"):
        provide(remote(server, "a"), tmp_path)
    assert len(server.asked) == fetch.ATTEMPTS


def test_a_short_file_of_unknown_length_is_given_up(server, tmp_path):
    """The end of it and the 416 for what lies beyond take turns."""
    server.files["a"], server.lengths = CONTENT[:1000], False
    with pytest.raises(InputError, match="could not be downloaded"):
        provide(remote(server, "a"), tmp_path)
    assert len(server.asked) == fetch.ATTEMPTS


def test_a_mirror_does_not_continue_the_part_of_another_server(server, tmp_path):
    server.files |= {"a": b"x" * len(CONTENT), "b": CONTENT}
    server.drops = [1_000_000] + [0] * (fetch.ATTEMPTS - 1)
    provide(remote(server, "a", "b"), tmp_path)
    assert (tmp_path / "data/clouds.bin").read_bytes() == CONTENT
    assert server.asked[-1] == ("b", None)
    assert hidden(tmp_path) == []


def test_a_file_put_in_place_by_hand_is_verified(server, tmp_path):
    path = tmp_path / "data/clouds.bin"
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    provide(remote(server), tmp_path)
    path.write_bytes(b"another")
    with pytest.raises(InputError, match=r"clouds\.bin: is not clouds\.bin of release 1 .*delete it"):
        provide(remote(server), tmp_path)
    provide(remote(server, checksum=""), tmp_path)
    assert path.read_bytes() == b"another"


def test_without_a_network_the_error_names_the_file_its_urls_and_its_place(server, tmp_path, monkeypatch):
    def offline(*_, **__):
        raise requests.ConnectionError("Name or service not known")

    monkeypatch.setattr(requests, "get", offline)
    row = remote(server, "a", "b")
    with pytest.raises(InputError) as raised:
        provide(row, tmp_path)
    message = str(raised.value)
    for part in (*row.urls, "release 1", "3,145,728 bytes", row.checksum, str(tmp_path / "data/clouds.bin")):
        assert part in message
    assert "Name or service not known" in message


def test_a_full_disk_is_reported_and_the_part_is_kept(server, tmp_path, monkeypatch):
    server.files["a"] = CONTENT
    opened = Path.open

    class Full:
        def __init__(self, file):
            self.file = file

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

        def write(self, chunk: bytes) -> None:
            if self.file.tell():
                raise OSError(errno.ENOSPC, "No space left on device")
            self.file.write(chunk)

    monkeypatch.setattr(Path, "open", lambda path, mode="r": Full(opened(path, mode)))
    with pytest.raises(InputError, match=r"data: the disk is full \([\d,]+ bytes free\)"):
        provide(remote(server, "a"), tmp_path)
    part = fetch._part(tmp_path / "data/clouds.bin", server.url("a"))
    assert list((tmp_path / "data").iterdir()) == [part]
    monkeypatch.undo()
    provide(remote(server, "a"), tmp_path)
    assert server.asked[-1] == ("a", f"bytes={fetch.CHUNK}-")


def test_a_file_at_a_commit_needs_no_checksum(server, tmp_path):
    commit = "9e1021fc09c3cfc2abc4072dcf1e970e0ea18c97"
    server.files[f"{commit}/a"] = CONTENT
    provide(remote(server, f"{commit}/a", version=commit, checksum="", bytes=None), tmp_path)
    assert (tmp_path / "data/clouds.bin").read_bytes() == CONTENT


def test_without_a_checksum_nothing_is_fetched(server, tmp_path):
    with pytest.raises(
        InputError, match=r"clouds\.bin: is missing, and cannot be downloaded .* Get release 1 from http"
    ):
        provide(remote(server, "a", checksum=""), tmp_path)
    assert server.asked == []


# ---------------------------------------------------------------------------------------------- archives


def write_zip(path: Path, members: dict[str, bytes]) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path.read_bytes()


MEMBERS = {
    "clouds/label.npy": b"label",
    "clouds/deep/data.npy": b"data",
    "__MACOSX/clouds/._label.npy": b"junk",
}


def test_an_archive_is_downloaded_and_unpacked_next_to_itself(server, tmp_path):
    server.files["a"] = content = write_zip(tmp_path / "made.zip", MEMBERS)
    provide(remote(server, "a", path="data/clouds.zip", content=content), tmp_path)
    folder = tmp_path / "data/clouds"
    assert {
        str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    } == {
        "label.npy": b"label",
        "deep/data.npy": b"data",
    }
    assert hidden(tmp_path) == []


def test_an_archive_put_in_place_by_hand_is_verified_and_used(server, tmp_path):
    content = write_zip(tmp_path / "data/clouds.zip", MEMBERS)
    row = remote(server, path="data/clouds.zip", content=content)
    provide(row, tmp_path)
    assert (tmp_path / "data/clouds/label.npy").read_bytes() == b"label"
    assert server.asked == []
    other = tmp_path / "other"
    write_zip(other / "data/clouds.zip", {"clouds/label.npy": b"changed"})
    with pytest.raises(InputError, match=r"clouds\.zip: is not clouds\.zip of release 1 .*md5:.*delete it"):
        provide(row, other)
    assert not (other / "data/clouds").exists()


def test_a_folder_put_in_place_by_hand_is_used(server, tmp_path):
    (tmp_path / "data/clouds").mkdir(parents=True)
    provide(remote(server, path="data/clouds.zip"), tmp_path)
    assert list((tmp_path / "data").iterdir()) == [tmp_path / "data/clouds"]


def test_an_archive_without_the_folder_is_unpacked_into_it(tmp_path):
    write_zip(tmp_path / "a.zip", {"label.npy": b"label"})
    unpack(tmp_path / "a.zip", tmp_path / "clouds", 1000)
    assert (tmp_path / "clouds/label.npy").read_bytes() == b"label"


@pytest.mark.parametrize(
    "name", ["../escaped", "clouds/../../escaped", "/tmp/escaped", "clouds\\..\\..\\escaped"]
)
def test_members_that_would_leave_the_folder_are_refused(tmp_path, name):
    write_zip(tmp_path / "in/a.zip", {"clouds/label.npy": b"label", name: b"x"})
    with pytest.raises(
        InputError, match=r"a\.zip: its member .*escaped' would be written outside of the folder"
    ):
        unpack(tmp_path / "in/a.zip", tmp_path / "in/clouds", 1000)
    assert [path.name for path in tmp_path.rglob("*")] == ["in", "a.zip"]


def test_links_are_refused(tmp_path):
    link = zipfile.ZipInfo("clouds/link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(InputError, match="'clouds/link' is not a regular file"):
        unpack(tmp_path / "a.zip", tmp_path / "clouds", 1000)


def test_absurd_sizes_are_refused_before_anything_is_written(tmp_path):
    write_zip(tmp_path / "a.zip", {"clouds/bomb": bytes(50_000_000)})
    assert (tmp_path / "a.zip").stat().st_size < 100_000
    with pytest.raises(
        InputError, match=r"would unpack to 50,000,000 bytes, more than its unpacked_limit, 1,000,000"
    ):
        unpack(tmp_path / "a.zip", tmp_path / "clouds", 1_000_000)
    assert not (tmp_path / "clouds").exists()


@pytest.mark.parametrize("names", [("a", "a/b"), ("a/b", "a"), ("a" * 300,)])
def test_names_that_no_disk_can_hold_together_are_refused(tmp_path, names):
    write_zip(tmp_path / "a.zip", {f"clouds/{name}": b"1" for name in names})
    with pytest.raises(InputError, match=r"a\.zip: cannot be unpacked"):
        unpack(tmp_path / "a.zip", tmp_path / "clouds", 100)
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_a_member_with_a_wrong_size_is_refused(tmp_path):
    content = write_zip(tmp_path / "a.zip", {"clouds/bomb": bytes(2_000_000)})
    size = (2_000_000).to_bytes(4, "little")
    (tmp_path / "a.zip").write_bytes(content.replace(size, (10).to_bytes(4, "little")))
    with pytest.raises(InputError, match=r"a\.zip: cannot be unpacked"):
        unpack(tmp_path / "a.zip", tmp_path / "clouds", 1000)
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


@pytest.mark.parametrize("broken", [b"", b"no archive", "truncated", "flipped", "bzip2", "lzma"])
def test_broken_archives_are_refused(tmp_path, broken):
    content = bytearray(write_zip(tmp_path / "a.zip", {"clouds/data": os.urandom(5000)}))
    if broken == "flipped":
        content[2000] ^= 1
    if broken in ("bzip2", "lzma"):  # stated methods of compression that the data does not have
        for header in (b"PK\x03\x04", b"PK\x01\x02"):
            content[content.index(header) + (8 if header[2] == 3 else 10)] = 12 if broken == "bzip2" else 14
    replaced = {"truncated": content[:3000], "flipped": content, "bzip2": content, "lzma": content}.get(
        broken, broken
    )
    (tmp_path / "a.zip").write_bytes(replaced)
    with pytest.raises(InputError, match=r"a\.zip: cannot be unpacked .*delete it and run again"):
        unpack(tmp_path / "a.zip", tmp_path / "clouds", 10_000)
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


# ---------------------------------------------------------------------------------------------- workflow


def release_zip(path: Path) -> bytes:
    """A release of two airplanes and two xboxes."""
    folder = path.with_suffix("")
    folder.mkdir(parents=True)
    np.save(folder / "label.npy", np.array([[0], [39], [0], [39]], np.uint8))
    for variant in RELEASED:
        clouds = np.random.default_rng(0).uniform(-1, 1, (4, points_per_cloud(variant), 3))
        np.save(folder / f"data_{variant}.npy", clouds.astype(np.float32))
    return write_zip(path, {f"modelnet40_c/{file.name}": file.read_bytes() for file in folder.iterdir()})


@pytest.mark.workflow
def test_the_paper_preset_downloads_its_clouds_once(server, project, tmp_path_factory):
    server.files["release.zip"] = content = release_zip(
        tmp_path_factory.mktemp("release") / "modelnet40_c.zip"
    )
    row = remote(server, "release.zip", path="data/modelnet40_c.zip", content=content, unpacked_limit=10**7)
    cells = {**row._asdict(), "name": "modelnet40_c", "urls": " ".join(row.urls)}
    table = project.directory / "data/sources.csv"
    rows = [line for line in table.read_text().splitlines() if not line.startswith("modelnet40_c,")]
    table.write_text("\n".join([*rows, ",".join(map(str, cells.values()))]) + "\n")
    project.change(
        {
            "preset": "paper",
            "zero_shot.top": [1],
            "presets.paper.clouds.classes": ["airplane", "xbox"],
            "presets.paper.alignment.split": {"train": 2, "test": 2},
            "presets.paper.alignment.held_out_classes": 1,
        }
    )
    clouds = "results/paper/clouds/xbox.h5"
    project.snakemake(clouds)
    assert server.asked == [("release.zip", None)]
    assert {str(variant) for variant in read_clouds(project.directory / clouds)} >= {"original"}

    os.utime(table)  # newer than what was fetched, as after a `git pull`
    assert "Nothing to be done" in project.snakemake(clouds).stdout
    release = project.directory / "data/modelnet40_c"
    assert len(list(release.glob("*.npy"))) == 77
    (release / "data_shear_2.npy").write_bytes(b"damaged")
    result = project.snakemake("--forcerun", "list_objects", "--", "results/paper/objects.csv", check=False)
    assert result.returncode != 0
    assert "data_shear_2.npy: cannot be read" in result.stdout
    assert len(list(release.glob("*.npy"))) == 77
    assert len(server.asked) == 1


# ------------------------------------------------------------------------------------------------- table


def test_the_table_names_what_the_paper_preset_needs(root):
    remotes = read_remotes(root / "data/sources.csv")
    release = remotes["modelnet40_c"]
    assert (release.bytes, release.checksum) == (1_970_686_633, "md5:c4a7fffaa52c80b33f7b3a0ac7782d3b")
    assert (release.place, release.is_archive) == ("data/modelnet40_c", True)
    params = yaml.safe_load((root / "params.yaml").read_text())["presets"]["paper"]
    assert params["clouds"]["directory"] == release.place
    for row in remotes.values():
        assert row.urls
        assert row.licence
        assert all(url.startswith("https://") for url in row.urls) or row.checksum
        if row.checksum:
            algorithm, _, digest = row.checksum.partition(":")
            assert len(digest) == {"md5": 32, "git": 40, "sha256": 64}[algorithm]
        if row.is_archive:
            assert row.unpacked_limit > (row.bytes or 0)
    hub = {row.name: row.version for row in remotes.values() if not row.path}
    assert len(hub) == 4
    assert all(len(version) == 40 for version in hub.values())
    assert {clip["weights"] for clip in params["encoders"]["images"].values()} == set(hub)


@pytest.mark.parametrize("name", ["pointnet2_ssg", "dgcnn", "pointmlp", "pointmlp_elite", "pointnext_s_c64"])
def test_the_table_has_published_weights_of_an_encoder(root, name):
    row = read_remotes(root / "data/sources.csv")[f"{name}_modelnet40"]
    assert row.path == f"data/encoders/{row.name}.safetensors"
    assert row.is_pinned  # so it is fetched, also without a checksum
    assert "academic research" in row.licence


@pytest.mark.parametrize(
    "content",
    [
        "",
        "name,bytes\na,many\n",
        "name,version\na,b\n",
        "name,bytes,unpacked_limit,urls\na,1,1,u,v\n",
        "name\n" + "a" * 200_000,
    ],
)
def test_a_broken_table_is_named(tmp_path, content):
    path = tmp_path / "sources.csv"
    path.write_text(content)
    if content:
        with pytest.raises(InputError, match=r"sources\.csv: cannot be read as a table of sources"):
            read_remotes(path)
    else:
        assert read_remotes(path) == {}
    with pytest.raises(InputError, match=r"none\.csv: cannot be read"):
        read_remotes(tmp_path / "none.csv")


def test_an_archive_needs_a_limit(root, tmp_path):
    table = (root / "data/sources.csv").read_text().replace(",5000000000,", ",,")
    (tmp_path / "sources.csv").write_text(table)
    with pytest.raises(InputError, match=r"sources\.csv: modelnet40_c: an archive needs an unpacked_limit"):
        read_remotes(tmp_path / "sources.csv")
