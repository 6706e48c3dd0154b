"""A bound on the data that a file declares, checked before memory is allocated for it."""

from pathlib import Path

from pointspider.core.errors import InputError

#: Bytes into which deflate expands one byte at most: https://zlib.net/zlib_tech.html.
DEFLATE = 1032


def check_size(declared: int, path: str | Path, expansion: int = DEFLATE) -> None:
    """Compare the size of the data that a file declares with the size of the file.

    Args:
        declared: bytes of the data; many more than those of the file if a header is damaged or hostile.
        path: the file, whose name the caller adds to the message.
        expansion: bytes of data that one byte of the file can hold.

    Raises:
        InputError: the file cannot hold the data.
    """
    size = Path(path).stat().st_size
    if declared > expansion * size:
        raise InputError(f"declares {declared:,} bytes of data in a file of {size:,} bytes; is it complete?")
