"""The frame of every job of the workflow: a log file, and one line for bad input."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pointspider.core.errors import InputError


@contextmanager
def job(log: str | Path) -> Iterator[logging.Logger]:
    """Log to the file `log` while the block runs; on bad input, print one line and exit with code 1.

    Log records and warnings of other libraries go to the file only, so that they do not disturb progress
    bars; our warnings and the traceback of an unexpected error go to the terminal too.
    """
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
