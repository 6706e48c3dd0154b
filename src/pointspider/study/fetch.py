"""Download the files of data/sources.csv: resumed, retried, verified, and only then moved to their place."""

import email.utils
import errno
import hashlib
import os
import shutil
import stat
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import requests
from tqdm import tqdm

from pointspider.core.errors import InputError
from pointspider.study.remote import Remote, is_intact, verify

#: Consecutive failures without a new byte after which a URL is given up.
ATTEMPTS = 5
#: Seconds before the second attempt; doubled before each further one.
BACK_OFF = 1.0
#: Longest pause in seconds that a server may ask for by Retry-After. Zenodo asks for a minute.
LONGEST_PAUSE = 300.0
#: Seconds without an answer or a further byte after which an attempt fails.
TIMEOUT = 30
#: Bytes that are written at once. A dropped connection loses less than that.
CHUNK = 1 << 16
#: Name that servers see. Zenodo refuses that of the HTTP library.
USER_AGENT = "pointspider/0.1 (data of https://doi.org/10.5281/zenodo.6017834 for research)"
#: Status codes below 500 that a later attempt may not meet again.
TEMPORARY = (requests.codes.request_timeout, requests.codes.too_many_requests)
#: Errors of the system for offsets and names in a damaged archive; None for its bzip2 data.
OF_ARCHIVE = (None, errno.EINVAL, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG)


def provide(remote: Remote, root: Path) -> None:
    """Download a file, and unpack it if it is an archive.

    An existing file is verified; an existing folder is used as it is.

    Args:
        remote: the file.
        root: the repository, which `remote.path` is relative to.

    Raises:
        InputError: the file cannot be downloaded, has another checksum or does not fit the disk; the archive
            is damaged.
    """
    place, path = root / remote.place, root / remote.path
    if place.is_dir():
        return
    if path.exists():
        verify(remote, path)
    with _disk_space(path.parent):
        if not path.exists():
            _fetch(remote, path)
        if remote.is_archive and remote.unpacked_limit is not None:
            unpack(path, place, remote.unpacked_limit)


def _fetch(remote: Remote, path: Path) -> None:
    """Download to `path` from the first URL that returns the right bytes."""
    if not remote.checksum and not remote.is_pinned:
        raise InputError(
            f"{path}: is missing, and cannot be downloaded because its checksum is not known. Get "
            f"{remote.version} from {remote.urls[0]} and put it there."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    problems = []
    for url in remote.urls:
        part = _part(path, url)
        try:
            _download(url, part, remote.bytes)
        except (requests.RequestException, ValueError) as error:
            problems.append(f"{url}: {error}")
            continue
        if is_intact(remote, part):
            os.replace(part, path)
            for other in remote.urls:
                _part(path, other).unlink(missing_ok=True)
            return
        part.unlink()
        problems.append(f"{url}: the file there does not have the checksum {remote.checksum}")
    raise InputError(
        f"{path}: could not be downloaded:\n  " + "\n  ".join(problems) + f"\nWithout a network here, get "
        f"{remote.identity} elsewhere, put it at {path.resolve()} and run again."
    )


def _part(path: Path, url: str) -> Path:
    """Return the path of an unfinished download, one per URL: servers may return different bytes."""
    return path.with_name(f".{path.name}.{hashlib.md5(url.encode()).hexdigest()[:8]}.part")


@contextmanager
def _disk_space(directory: Path) -> Iterator[None]:
    """Report a full disk in one line."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        free = shutil.disk_usage(directory).free
        raise InputError(
            f"{directory}: the disk is full ({free:,} bytes free). Make room and run again: a download "
            "continues where it stopped."
        ) from error


def _download(url: str, part: Path, size: int | None) -> None:
    """Download to `part`, from the byte where an earlier attempt ended.

    Raises:
        requests.RequestException: no attempt succeeded.
        ValueError: the file on the server has another size.
    """
    failures, most = 0, _length(part)
    while True:
        try:
            return _stream(url, part, size)
        except requests.RequestException as error:
            failures = 1 if _length(part) > most else failures + 1
            most = max(most, _length(part))
            pause = _pause(error, failures)
            if failures == ATTEMPTS or pause is None:
                raise
            time.sleep(pause)


def _length(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _pause(error: requests.RequestException, failures: int) -> float | None:
    """Return the seconds to wait before the next attempt; None if another attempt is of no use.

    Raises:
        ValueError: the server asks for a longer pause than LONGEST_PAUSE.
    """
    back_off: float = BACK_OFF * 2 ** (failures - 1)
    response = error.response
    if response is None:
        return back_off
    if response.status_code < 500 and response.status_code not in TEMPORARY:
        return None
    asked = response.headers.get("Retry-After", "")
    if asked.isdecimal():
        back_off = max(back_off, float(asked))
    elif date := email.utils.parsedate_tz(asked):
        back_off = max(back_off, email.utils.mktime_tz(date) - time.time())
    if back_off > LONGEST_PAUSE:
        raise ValueError(f"the server asks for a pause of {back_off:,.0f} seconds; run again after it")
    return back_off


def _stream(url: str, part: Path, size: int | None) -> None:
    """Append the rest of the file to `part`."""
    have = _length(part)
    if size and have == size:
        return
    headers = {"Accept-Encoding": "identity", "User-Agent": USER_AGENT}
    headers |= {"Range": f"bytes={have}-"} if have else {}
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            if response.headers.get("Content-Range") == f"bytes */{have}":
                return  # complete
            part.unlink()  # longer than the file on the server
            raise requests.ConnectionError("the file has changed")
        response.raise_for_status()
        if response.status_code != requests.codes.partial_content:
            have = 0  # the server sends the complete file
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else size
        if size and total != size:
            raise ValueError(f"the file there has {total:,} bytes, not {size:,}")
        name = part.name.rsplit(".", 2)[0][1:]
        bar = tqdm(total=total, initial=have, desc=name, unit="B", unit_scale=True, disable=None)
        with bar, part.open("ab" if have else "wb") as file:
            for chunk in response.iter_content(CHUNK):
                file.write(chunk)
                bar.update(len(chunk))
    if size and _length(part) < size:
        raise requests.ConnectionError(f"the connection ended after {_length(part):,} bytes")


def unpack(archive: Path, folder: Path, limit: int) -> None:
    """Unpack a ZIP archive to `folder`, which is created when everything is unpacked.

    Members below "<folder's name>/" are unpacked, without that prefix; if there are none, all members are.

    Args:
        archive: the .zip.
        folder: must not exist.
        limit: maximum total size of the members in bytes.

    Raises:
        InputError: the file is not a ZIP archive or is damaged; a member is outside of the folder or is not a
            regular file; the members are larger than `limit`.
    """
    temporary = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(temporary, ignore_errors=True)  # of a killed run
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
    except Exception as error:  # a damaged archive raises almost any
        if isinstance(error, OSError) and error.errno not in OF_ARCHIVE:
            raise
        raise InputError(f"{archive}: cannot be unpacked ({error}); delete it and run again.") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _check_members(archive: Path, members: list[zipfile.ZipInfo], limit: int) -> None:
    for member in members:
        path = PurePosixPath(member.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts:
            raise InputError(
                f"{archive}: its member '{member.filename}' would be written outside of the folder."
            )
        if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
            raise InputError(f"{archive}: its member '{member.filename}' is not a regular file.")
    total = sum(member.file_size for member in members)
    if total > limit:
        raise InputError(
            f"{archive}: would unpack to {total:,} bytes, more than its unpacked_limit, {limit:,}."
        )
