"""What every step of a workflow does around its one call: a log file, and errors told in one line."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pointspider.core.errors import InputError


@contextmanager
def job(log: str | Path) -> Iterator[logging.Logger]:
    """Log to the file `log` while the block runs; exit with 1 and one line when the input is bad.

    The terminal stays free for progress bars: log records and other libraries' warnings go to the file alone,
    our own warnings and the traceback of an unexpected error to both.
    """
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        filename=log, filemode="w", level=logging.INFO, format="%(asctime)s %(name)s: %(message)s", force=True
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
        logging.exception("unexpected error")  # the traceback reaches the terminal as the process ends
        raise
    finally:
        logger.removeHandler(terminal)
    logger.info("done")
