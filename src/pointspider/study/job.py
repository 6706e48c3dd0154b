"""The frame of every job of the workflow: a log file, and one line for bad input.

Each script imports this module first: in a conda environment, the import removes the packages of the Python
that runs Snakemake from the job's path.
"""

import logging
import os
import select
import site
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pointspider.core.errors import InputError

#: Environment variable: number of the process that runs the workflow, and their name space.
_WORKFLOW = "POINTSPIDER_WORKFLOW"

# Snakemake appends the packages of its Python to the path of every job
if os.environ.get("CONDA_PREFIX") == sys.prefix:
    packages = {*site.getsitepackages(), site.getusersitepackages()}
    sys.path[:] = [path for path in sys.path if path in packages or not path.endswith("-packages")]


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


def announce_workflow() -> None:
    """Let every job that this process starts end with it, on Linux."""
    os.environ[_WORKFLOW] = f"{os.getpid()} {_namespace()}"


def _end_with_workflow() -> None:
    """End this process when the one that announced itself as its workflow ends, however it ends."""
    pid, _, namespace = os.environ.get(_WORKFLOW, "").partition(" ")
    if not pid or namespace != _namespace() or not hasattr(os, "pidfd_open"):
        return  # no workflow, or not on Linux, or in a container with numbers of its own
    try:
        descriptor = os.pidfd_open(int(pid))
    except ProcessLookupError:  # killed while this process imported its modules
        os._exit(1)
    except OSError:
        return

    def watch(*seconds: float) -> None:
        if select.select([descriptor], [], [], *seconds)[0]:
            os._exit(1)

    watch(0)
    threading.Thread(target=watch, daemon=True).start()


def _namespace() -> str:
    """The name space of the numbers of processes; empty if there is none."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""
