"""Runs work on many items in several processes, and ends processes cleanly."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any, NoReturn, TypeVar

from crack_lightning.system.progress import track

INTERRUPTED = 130  # the exit status after Ctrl-C
MAX_WORKERS = 8
MIN_ITEMS = 100  # fewer items are done sooner than processes can start
CHUNK_ITEMS = 32  # items that a process takes at a time

Item = TypeVar("Item")
Result = TypeVar("Result")
Pool = TypeVar("Pool", bound=Executor)


def in_processes(
    work: Callable[[Item], Result], items: Sequence[Item], description: str, *, workers: int | None
) -> list[Result]:
    """Returns the results of `work` for `items`, in the same order, computed in `workers` processes.

    None means one process for each core, at most eight.
    """
    count = default_workers() if workers is None else workers
    if count < 2 or len(items) < MIN_ITEMS:
        return list(track(map(work, items), description, total=len(items)))
    context = worker_options(count)["multiprocessing_context"]
    with closing_pool(process_pool(count, context)) as pool:
        return list(track(map_in_pool(pool, work, items), description, total=len(items)))


def process_pool(count: int, context: str) -> ProcessPoolExecutor:
    """Returns a pool of processes that end with this process, even if it is killed."""
    return ProcessPoolExecutor(count, mp_context=get_context(context), initializer=_end_with, initargs=(os.getpid(),))


def map_in_pool(pool: Executor, work: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    """Returns the results of `work` for `items` from a pool whose processes start here.

    They ignore Ctrl-C and SIGTERM, which reach all processes of a terminal: a pool of which some have ended may hang,
    so this process ends the others.
    """
    former_mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        return pool.map(work, items, chunksize=CHUNK_ITEMS)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former_mask)


def _end_with(parent: int) -> None:
    """Makes this process end when its `parent` is killed."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(2.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def closing_pool(pool: Pool) -> Iterator[Pool]:
    """Yields a pool of processes or threads; at the end, or at Ctrl-C or SIGTERM, cancels work that has not started."""
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def default_workers() -> int:
    """Returns the number of loading processes: one for each core, at most eight."""
    return min(MAX_WORKERS, os.cpu_count() or 1)


def worker_options(num_workers: int) -> dict[str, Any]:
    """Returns the options of a DataLoader for its loading processes."""
    # The context is given by name, since the default fails in joblib's processes, where runs of a sweep may be.
    context = ("fork" if sys.platform == "linux" else "spawn") if num_workers else None
    return {"num_workers": num_workers, "multiprocessing_context": context}


def cores() -> int:
    """Returns the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def end_at_sigterm() -> None:
    """Makes SIGTERM end this process as Ctrl-C does; otherwise the first process of a container ignores it.

    Processes that are forked from this one still end at SIGTERM by default.
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


def exit_interrupted() -> NoReturn:
    """Ends this process with the exit status 130.

    A KeyboardInterrupt that passed through code in a string, as that which makes a dataclass, has Python end by SIGINT
    whatever the status is, if it was started with -m, until other code in a string has run.
    """
    exec("")
    sys.exit(INTERRUPTED)


@contextmanager
def interrupt_message(what_now: Callable[[], str]) -> Iterator[None]:
    """Turns the SystemExit that Lightning raises at Ctrl-C into a KeyboardInterrupt with the message `what_now()`."""
    try:
        yield
    except (SystemExit, KeyboardInterrupt):
        raise KeyboardInterrupt(what_now()) from None
