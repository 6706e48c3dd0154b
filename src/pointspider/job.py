"""What every step of a workflow does around its one call: a log file, and errors told in one line."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pointspider.errors import InputError


@contextmanager
def job(log: str | Path) -> Iterator[logging.Logger]:
    """Log to the file `log` while the block runs; exit with 1 and one line when the input is bad.

    The terminal stays free for progress bars: log records and warnings go to the file alone, a traceback of
    an unexpected error to both.
    """
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        filename=log, filemode="w", level=logging.INFO, format="%(asctime)s %(name)s: %(message)s", force=True
    )
    logging.captureWarnings(True)
    logger = logging.getLogger("pointspider")
    try:
        yield logger
    except InputError as error:
        logger.error("%s", error)
        sys.exit(f"pointspider: {error}")
    except Exception:
        logger.exception("unexpected error")
        raise
    logger.info("done")
