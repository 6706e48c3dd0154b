"""Run tasks in several processes, with one progress bar."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from pointspider.core.errors import InputError

Task = TypeVar("Task")
Result = TypeVar("Result")


def run_all(
    work: Callable[[Task], Result],
    tasks: Sequence[Task],
    jobs: int,
    description: str,
    setup: Callable[..., None],
    arguments: tuple[Any, ...],
) -> Iterator[Result | InputError]:
    """Yield the results of tasks in their order; an InputError is yielded in the place of a result.

    Args:
        work: a function of a module, called for each task.
        tasks: what it is called with.
        jobs: processes; 1 runs everything in this one.
        description: for the progress bar, which is shown on terminals for more than one task.
        setup: called first in each process, with `arguments`.
        arguments: see `setup`.

    Raises:
        InputError: a process died.
    """
    from tqdm import tqdm

    with tqdm(total=len(tasks), desc=description, disable=None if len(tasks) > 1 else True) as bar:
        if jobs <= 1 or len(tasks) == 1:
            setup(*arguments)
            for task in tasks:
                yield _guarded(work, task)
                bar.update()
            return
        spawn = multiprocessing.get_context("spawn")  # a fork would inherit Dr.Jit's and OIDN's threads
        with ProcessPoolExecutor(min(jobs, len(tasks)), spawn, setup, arguments) as pool:
            futures: list[Future[Result | InputError]] = [pool.submit(_guarded, work, task) for task in tasks]
            for future in futures:
                future.add_done_callback(lambda _: bar.update())
            try:
                for future in futures:
                    yield future.result()
            except BrokenProcessPool as error:
                raise InputError(
                    "a process was killed, perhaps for its memory; use fewer --jobs. Finished files are kept."
                ) from error
            finally:
                pool.shutdown(wait=False, cancel_futures=True)


def _guarded(work: Callable[[Task], Result], task: Task) -> Result | InputError:
    try:
        return work(task)
    except InputError as error:
        return error
