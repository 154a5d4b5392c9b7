"""Work on many files by several processes."""

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

from crack_lightning.data.loading import default_workers, worker_options
from crack_lightning.data.progress import track

FEW = 100  # items that are worked on sooner than processes start
CHUNK = 32

Item = TypeVar("Item")
Found = TypeVar("Found")


def in_processes(
    work: Callable[[Item], Found], items: Sequence[Item], description: str, *, workers: int | None
) -> list[Found]:
    """What `work` finds for each of `items`, in their order, by so many processes; None is one a core."""
    count = default_workers() if workers is None else workers
    if count < 2 or len(items) < FEW:
        return list(track(map(work, items), description, total=len(items)))
    context = worker_options(count)["multiprocessing_context"]
    with ProcessPoolExecutor(count, mp_context=get_context(context)) as pool:
        return list(track(pool.map(work, items, chunksize=CHUNK), description, total=len(items)))
