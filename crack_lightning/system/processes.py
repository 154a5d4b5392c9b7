"""Runs work on many files in several processes."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any, TypeVar

from crack_lightning.system.progress import track

INTERRUPTED = 130  # the exit status after Ctrl-C
MOST_WORKERS = 8
FEW = 100  # fewer items are done before processes have started
CHUNK = 32

Item = TypeVar("Item")
Found = TypeVar("Found")
Pool = TypeVar("Pool", bound=Executor)


def in_processes(
    work: Callable[[Item], Found], items: Sequence[Item], description: str, *, workers: int | None
) -> list[Found]:
    """Returns the results of `work` for `items`, in their order, by `workers` processes; None: one for each core."""
    count = default_workers() if workers is None else workers
    if count < 2 or len(items) < FEW:
        return list(track(map(work, items), description, total=len(items)))
    context = worker_options(count)["multiprocessing_context"]
    with ending(process_pool(count, context)) as pool:
        return list(track(started(pool, work, items), description, total=len(items)))


def process_pool(count: int, context: str) -> ProcessPoolExecutor:
    """Returns processes that end with this one, however it ends."""
    return ProcessPoolExecutor(count, mp_context=get_context(context), initializer=_end_with, initargs=(os.getpid(),))


def started(pool: Executor, work: Callable[[Item], Found], items: Sequence[Item]) -> Iterator[Found]:
    """Returns what `work` returns for each item, by a pool whose processes start here and ignore Ctrl-C and SIGTERM,
    which terminals send to all processes: this process ends the others, for a pool of which some are dead may hang."""
    former_mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        return pool.map(work, items, chunksize=CHUNK)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former_mask)


def _end_with(parent: int) -> None:
    """Ends this process when its parent was killed."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(2.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def ending(pool: Pool) -> Iterator[Pool]:
    """Yields a pool of processes or threads; after Ctrl-C or SIGTERM nobody waits for work that has not started."""
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def default_workers() -> int:
    """Returns the number of loading processes: one for each core, at most eight."""
    return min(MOST_WORKERS, os.cpu_count() or 1)


def worker_options(num_workers: int) -> dict[str, Any]:
    """Returns the options of a DataLoader for its loading processes."""
    # By name: the runs of a sweep may be within joblib's processes, where the default fails.
    context = ("fork" if sys.platform == "linux" else "spawn") if num_workers else None
    return {"num_workers": num_workers, "multiprocessing_context": context}


def cores() -> int:
    """Counts the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def end_at_sigterm() -> None:
    """Makes SIGTERM end this process as Ctrl-C does: the first process of a container would not end at all.

    Processes that are forked from it end as they would without this.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    own_pid = os.getpid()

    def end(number: int, frame: object) -> None:
        if os.getpid() == own_pid:
            raise KeyboardInterrupt
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    signal.signal(signal.SIGTERM, end)


@contextmanager
def interrupt_message(what_now: Callable[[], str]) -> Iterator[None]:
    """Turns Lightning's exit at Ctrl-C into an interrupt again, whose message says what to do now."""
    try:
        yield
    except (SystemExit, KeyboardInterrupt):
        raise KeyboardInterrupt(what_now()) from None
