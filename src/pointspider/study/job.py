"""The frame of every job of the workflow: a log file, and one line for bad input."""

import logging
import os
import select
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pointspider.core.errors import InputError


@contextmanager
def job(log: str | Path) -> Iterator[logging.Logger]:
    """Log to the file `log` while the block runs; on bad input, print one line and exit with code 1.

    Log records and warnings of other libraries go to the file only, so that they do not disturb progress
    bars; our warnings and the traceback of an unexpected error go to the terminal too. On Linux, the process
    ends when the Snakemake process that started it is killed: the next run writes the same files.
    """
    _end_with_workflow()
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        filename=log,
        filemode="w",
        encoding="utf-8",
        level=logging.INFO,
        format="%(asctime)s %(name)s: %(message)s",
        force=True,
    )
    logging.captureWarnings(True)
    logger = logging.getLogger("pointspider")
    terminal = logging.StreamHandler()
    terminal.setLevel(logging.WARNING)
    terminal.setFormatter(logging.Formatter("pointspider: %(message)s"))
    logger.addHandler(terminal)
    try:
        yield logger
    except InputError as error:
        logger.error("%s", error)
        sys.exit(1)
    except Exception:
        logging.exception("unexpected error")  # Python prints it on the terminal too, at exit
        raise
    finally:
        logger.removeHandler(terminal)
    logger.info("done")


def _end_with_workflow() -> None:
    """Watch the nearest ancestor that is Snakemake, and end this process when it ends, however it ends."""
    try:
        pid = os.getppid()
        while not _is_snakemake(pid):
            # The name in parentheses may contain blanks; state and parent follow
            pid = int(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
        descriptor = os.pidfd_open(pid)
    except (OSError, AttributeError):  # not started by Snakemake, or not on Linux
        return

    def watch() -> None:
        select.select([descriptor], [], [])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _is_snakemake(pid: int) -> bool:
    arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return any(os.path.basename(argument) == b"snakemake" for argument in arguments[:3])
