"""Fetching what data/sources.csv names: resumed, retried, verified, and only then put in place.

pooch compares the checksum and renames; what it lacks is here: resuming by HTTP Range, retries, mirrors, and
bounds on what an archive unpacks to.
"""

import errno
import hashlib
import os
import shutil
import stat
import time
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import pooch
import requests
from tqdm import tqdm

from pointspider.core.errors import InputError
from pointspider.study.remote import Remote, verify

#: Failures in a row, without a byte gained, after which a URL is given up.
ATTEMPTS = 5
#: Seconds before the second attempt; doubled before each further one.
BACK_OFF = 1.0
#: Seconds without an answer, or without a further byte.
TIMEOUT = 30
#: Bytes that are written at once; a connection that drops loses less than that.
CHUNK = 1 << 16


def provide(remote: Remote, root: Path) -> None:
    """Put a remote file in place, an archive with its unpacked folder; a folder that is there is kept.

    Args:
        remote: the file.
        root: the repository: `remote.path` lies below it.

    Raises:
        InputError: it cannot be fetched, fails its checksum or does not fit the disk; its archive is broken.
    """
    place, path = root / remote.place, root / remote.path
    if place.is_dir():
        return
    if path.exists():
        verify(remote, path)
    with _disk_space(path.parent):
        if not path.exists():
            _fetch(remote, path)
        if remote.is_archive:
            unpack(path, place, remote.unpacked_limit)


def _fetch(remote: Remote, path: Path) -> None:
    """Download to `path` from the first URL that gives the right bytes."""
    if not remote.checksum:
        raise InputError(
            f"{path}: is missing, and no checksum of it is known by which a download could be trusted. Get "
            f"{remote.version} from {remote.urls[0]} and put it there."
        )
    problems = []
    for url in remote.urls:
        download = _Download(_part(path, url), remote.bytes)
        try:
            pooch.retrieve(url, remote.checksum, fname=path.name, path=path.parent, downloader=download)
        except (requests.RequestException, ValueError) as error:  # pooch: ValueError for a wrong checksum
            problems.append(f"{url}: {error}")
        else:
            for other in remote.urls:
                _part(path, other).unlink(missing_ok=True)
            return
    raise InputError(
        f"{path}: could not be fetched:\n  " + "\n  ".join(problems) + f"\nWithout a network here, get "
        f"{remote.identity} elsewhere, put it at {path.resolve()} and run again."
    )


def _part(path: Path, url: str) -> Path:
    """Where an unfinished download lies: each URL's own, for what one sends may not be what another does."""
    return path.with_name(f".{path.name}.{hashlib.md5(url.encode()).hexdigest()[:8]}.part")


@contextmanager
def _disk_space(directory: Path) -> Iterator[None]:
    """Tell of a full disk in one line."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        free = shutil.disk_usage(directory).free
        raise InputError(
            f"{directory}: the disk is full ({free:,} bytes free). Make room and run again: a download goes "
            "on where it stopped."
        ) from error


class _Download:
    """A downloader for pooch that keeps what it got in `part`, and goes on from there."""

    def __init__(self, part: Path, size: int | None):
        self.part, self.size = part, size

    def __call__(self, url: str, output_file: str, _: object) -> None:
        failures, best = 0, self._have()
        while True:
            try:
                self._stream(url)
                break
            except requests.RequestException as error:
                failures = 1 if self._have() > best else failures + 1
                best = max(best, self._have())
                if failures == ATTEMPTS or not _may_pass(error):
                    raise
                time.sleep(BACK_OFF * 2 ** (failures - 1))
        os.replace(self.part, output_file)

    def _have(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _stream(self, url: str) -> None:
        """Append to `part` what the server still has."""
        have = self._have()
        if self.size and have == self.size:
            return
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            if response.status_code == requests.codes.requested_range_not_satisfiable:
                self.part.unlink()  # it holds more than the server has
                raise requests.ConnectionError("the file has changed")
            response.raise_for_status()
            if response.status_code != requests.codes.partial_content:
                have = 0  # the server sends the whole file
            length = response.headers.get("Content-Length")
            total = have + int(length) if length else self.size
            if self.size and total != self.size:
                raise ValueError(f"the file there has {total:,} bytes, not {self.size:,}")
            bar = tqdm(
                total=total,
                initial=have,
                desc=self.part.name.rsplit(".", 2)[0][1:],
                unit="B",
                unit_scale=True,
                disable=None,
            )
            with bar, self.part.open("ab" if have else "wb") as file:
                for chunk in response.iter_content(CHUNK):
                    file.write(chunk)
                    bar.update(len(chunk))
        if self.size and self._have() < self.size:
            raise requests.ConnectionError(f"the connection ended after {self._have():,} bytes")


def _may_pass(error: requests.RequestException) -> bool:
    """Is it worth another attempt? Not if the server answered that it has no such file for us."""
    response = getattr(error, "response", None)
    return response is None or response.status_code >= 500 or response.status_code == 429


def unpack(archive: Path, folder: Path, limit: int) -> None:
    """Unpack a zip to `folder`, which appears when all of it is there.

    Members below "<folder's name>/" are taken, without that prefix; in an archive without any, all.

    Args:
        archive: the .zip.
        folder: must not exist.
        limit: the most bytes that all members may have together.

    Raises:
        InputError: it is no zip or broken; a member would leave the folder or is no plain file; they are too
            large together.
    """
    temporary = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(temporary, ignore_errors=True)  # what a crash left
    try:
        with zipfile.ZipFile(archive) as file:
            members = [member for member in file.infolist() if not member.is_dir()]
            _check_members(archive, members, limit)
            prefix = f"{folder.name}/"
            below = [member for member in members if member.filename.startswith(prefix)]
            for member in tqdm(below or members, desc=f"unpack {archive.name}", unit="file", disable=None):
                target = temporary / member.filename.removeprefix(prefix)
                target.parent.mkdir(parents=True, exist_ok=True)
                # zipfile reads no more than the size that was checked, and compares the CRC.
                with file.open(member) as source, target.open("wb") as sink:
                    shutil.copyfileobj(source, sink, CHUNK)
        temporary.rename(folder)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, zlib.error) as error:
        raise InputError(f"{archive}: cannot be unpacked ({error}); delete it and fetch it again.") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _check_members(archive: Path, members: list[zipfile.ZipInfo], limit: int) -> None:
    for member in members:
        path = PurePosixPath(member.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts:
            raise InputError(
                f"{archive}: its member '{member.filename}' would be written outside of its folder."
            )
        if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
            raise InputError(f"{archive}: its member '{member.filename}' is no plain file.")
    total = sum(member.file_size for member in members)
    if total > limit:
        raise InputError(
            f"{archive}: would unpack to {total:,} bytes, more than the {limit:,} that it may have."
        )
