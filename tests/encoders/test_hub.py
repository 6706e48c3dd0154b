"""Models from the hub: its library against a local server, and errors without a network."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pointspider.core.errors import InputError
from pointspider.encoders.images.hub import check_files, model_directory

NAME, COMMIT = "someone/clip", "0123456789abcdef0123456789abcdef01234567"
CONFIGURATION = {"open_clip_config.json": b"{}", "README.md": b"not needed"}


class Hub(ThreadingHTTPServer):
    """One model at one commit, as the hub serves it."""

    def __init__(self, files: dict[str, bytes]):
        super().__init__(("127.0.0.1", 0), HubHandler)
        self.files = files
        self.asked: list[str] = []  # paths, in order
        threading.Thread(target=self.serve_forever, daemon=True).start()


class HubHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        self.server.asked.append(path)
        files = self.server.files
        if not files:
            self._answer(b"", {"X-Error-Code": "RepoNotFound"}, status=404)
        elif path.startswith(f"/api/models/{NAME}/tree/{COMMIT}"):
            entries = [
                {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                for name, data in files.items()
            ]
            self._answer(json.dumps(entries).encode(), {"Content-Type": "application/json"})
        elif path.startswith(f"/{NAME}/resolve/{COMMIT}/") and path.rpartition("/")[2] in files:
            data = files[path.rpartition("/")[2]]
            headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha1(data).hexdigest()}"'}
            self._answer(data, headers)
        else:
            self._answer(b"", {"X-Error-Code": "EntryNotFound"}, status=404)

    do_HEAD = do_GET

    def _answer(self, data: bytes, headers: dict[str, str], status: int = 200) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def serve() -> Iterator:
    hubs = []

    def start(files: dict[str, bytes]) -> Hub:
        hubs.append(Hub(files))
        return hubs[-1]

    yield start
    for hub in hubs:
        hub.shutdown()
        hub.server_close()


def fetch(
    cache: str, port: int, offline: bool = False, backend: str = "open_clip"
) -> subprocess.CompletedProcess:
    """Ask for the model in a process of its own: the hub's library reads its settings when it is imported."""
    code = f"""
from pointspider.encoders.images.hub import model_directory
from pointspider.core.errors import InputError
try:
    print("found", model_directory({NAME!r}, {backend!r}, {COMMIT!r}))
except InputError as error:
    print("error", error)
"""
    environment = {
        **os.environ,
        "HF_ENDPOINT": f"http://127.0.0.1:{port}",
        "HF_HOME": str(cache),
        "HF_HUB_OFFLINE": str(int(offline)),
        "HF_HUB_DISABLE_XET": "1",
    }
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)


def test_a_local_directory_needs_no_hub(tmp_path):
    assert model_directory(tmp_path, "open_clip", None) == tmp_path
    assert model_directory(str(tmp_path), "transformers", COMMIT) == tmp_path


def test_what_is_neither_directory_nor_source_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for weights in ("nowhere/at/all", "laion/no-such-model"):
        with pytest.raises(
            InputError, match=rf"'{weights}' is neither a directory nor a model of data/sources"
        ):
            model_directory(weights, "open_clip", None)


def test_a_pinned_commit_is_fetched_once_and_found_offline(tmp_path, serve):
    weights = {"open_clip_model.safetensors": b"safe", "open_clip_pytorch_model.bin": b"pickled"}
    hub = serve({**CONFIGURATION, **weights})
    result = fetch(tmp_path, hub.server_port)
    assert result.stdout.startswith("found "), result.stdout + result.stderr
    directory = tmp_path / "hub/models--someone--clip/snapshots" / COMMIT
    assert result.stdout.split() == ["found", str(directory)]
    # What the backend reads, and of the weights the safe ones only
    assert {path.name for path in directory.iterdir()} == {
        "open_clip_config.json",
        "open_clip_model.safetensors",
    }
    assert (directory / "open_clip_model.safetensors").read_bytes() == b"safe"
    assert all(f"/{COMMIT}/" in path for path in hub.asked if "/resolve/" in path)

    hub.asked.clear()
    assert fetch(tmp_path, hub.server_port, offline=True).stdout == result.stdout
    assert hub.asked == []


def test_a_commit_without_safetensors_has_the_other_format(tmp_path, serve):
    hub = serve({**CONFIGURATION, "open_clip_pytorch_model.bin": b"pickled"})
    result = fetch(tmp_path, hub.server_port)
    directory = tmp_path / "hub/models--someone--clip/snapshots" / COMMIT
    assert result.stdout.split() == ["found", str(directory)], result.stdout + result.stderr
    assert (directory / "open_clip_pytorch_model.bin").read_bytes() == b"pickled"


def message_of(result: subprocess.CompletedProcess, cache: Path) -> str:
    """The error, which says in any case what is missing and how to get it."""
    assert result.stdout.startswith(f"error {NAME}: the cache {cache}/hub lacks files of commit {COMMIT}"), (
        result.stdout + result.stderr
    )
    assert f"hf download {NAME} --revision {COMMIT}" in result.stdout
    assert "give a local directory" in result.stdout
    return result.stdout


def test_a_commit_without_weights_is_refused(tmp_path, serve):
    port = serve(CONFIGURATION).server_port
    neither = "has neither open_clip_model.safetensors nor open_clip_pytorch_model.bin"
    assert f"hub {neither}" in message_of(fetch(tmp_path, port), tmp_path)
    assert "HF_HUB_OFFLINE disables" in message_of(fetch(tmp_path, port, offline=True), tmp_path)


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"tokenizer.json": "{}"}, "preprocessor_config.json is missing"),
        ({"preprocessor_config.json": "{}"}, "tokenizer.json or vocab.json and merges.txt is missing"),
        ({"preprocessor_config.json": "{}", "vocab.json": "{}"}, "merges.txt is missing"),
        ({"preprocessor_config.json": "{}", "tokenizer.json": ""}, "tokenizer.json is empty"),
        ({"preprocessor_config.json": "{", "tokenizer.json": "{}"}, "preprocessor_config.json is damaged"),
        ({"preprocessor_config.json": "{}", "vocab.json": "{}", "merges.txt": " \n"}, "merges.txt is empty"),
        (
            {"preprocessor_config.json": "{}", "tokenizer.json": "{}", "vocab.json": "["},
            "vocab.json is damaged",
        ),
        ({"preprocessor_config.json": "{}", "tokenizer.json": "[]"}, "tokenizer.json is damaged (not a JSON"),
        ({"preprocessor_config.json": "{}", "tokenizer.json": "{}"}, ""),
    ],
)
def test_files_besides_the_weights_are_checked(tmp_path, files, problem):
    for name, text in {"config.json": "{}", **files}.items():
        (tmp_path / name).write_text(text)
    assert check_files(tmp_path, "transformers").startswith(problem)
    assert bool(check_files(tmp_path, "transformers")) == bool(problem)


def test_a_tokenizer_of_an_open_clip_model_is_checked(tmp_path):
    assert check_files(tmp_path, "open_clip") == "open_clip_config.json is missing"
    for config in ('{"model_cfg": []}', '{"model_cfg": {"text_cfg": "x"}}', "[" * 100_000):
        (tmp_path / "open_clip_config.json").write_text(config)
        assert check_files(tmp_path, "open_clip").startswith("open_clip_config.json is damaged")
    (tmp_path / "open_clip_config.json").write_text('{"model_cfg": {"text_cfg": {}}}')
    assert check_files(tmp_path, "open_clip") == ""
    (tmp_path / "open_clip_config.json").write_text('{"model_cfg": {"text_cfg": {"hf_tokenizer_name": "x"}}}')
    assert "tokenizer.json" in check_files(tmp_path, "open_clip")


def test_a_cache_without_the_weights_is_an_error_offline(tmp_path, serve):
    directory = tmp_path / "hub/models--someone--clip/snapshots" / COMMIT
    directory.mkdir(parents=True)
    (directory / "open_clip_config.json").write_bytes(b"{}")
    assert "HF_HUB_OFFLINE disables" in message_of(fetch(tmp_path, 1, offline=True), tmp_path)


def test_a_cache_without_a_tokenizer_is_an_error_offline(tmp_path):
    """As left by loading the image tower only."""
    directory = tmp_path / "hub/models--someone--clip/snapshots" / COMMIT
    directory.mkdir(parents=True)
    for name in ("config.json", "preprocessor_config.json", "model.safetensors"):
        (directory / name).write_text("{}")
    message = message_of(fetch(tmp_path, 1, offline=True, backend="transformers"), tmp_path)
    assert "tokenizer.json or vocab.json and merges.txt is missing" in message


def test_a_hub_that_cannot_be_reached_is_an_error(tmp_path):
    """Offline: for a hub that does not answer the library waits long."""
    assert "cannot be reached" in message_of(fetch(tmp_path, 1, offline=True), tmp_path)


def test_a_hub_without_the_model_can_be_reached(tmp_path, serve):
    message = message_of(fetch(tmp_path, serve({}).server_port), tmp_path)
    assert "the Hugging Face hub answers: 404" in message
    assert "cannot be reached" not in message
