"""Computes for the page in the background, beside the inspection: what somebody waits for comes first."""

import heapq
import itertools
import logging
import threading
from collections.abc import Callable, Hashable

from crack_lightning.errors import UserError
from crack_lightning.page.requests import INTERNAL_ERROR

log = logging.getLogger(__name__)

TRIED, ROW, LEARNING, WRITING, PLACES = range(5)  # urgency of jobs, the most urgent first
Job = Callable[[], None]


class Jobs(threading.Thread):
    """A thread that does jobs, the most urgent first; a job that waits already is not added again.

    `trouble` gets a message for the user where a job fails. While they are held, places to look at wait: somebody waits
    for the photograph that is inspected beside them.
    """

    def __init__(self, trouble: Callable[[str], None]) -> None:
        self._trouble = trouble
        super().__init__(name="computing", daemon=True)
        self._queue, self._waiting = list[tuple[int, int, Hashable]](), dict[Hashable, tuple[int, Job]]()
        self._change, self._ended, self._numbers = threading.Condition(), False, itertools.count()
        self._held = False

    def add(self, urgency: int, name: Hashable, job: Job) -> None:
        """Adds a job; of jobs with the same name only one waits, with the greater urgency."""
        with self._change:
            known = self._waiting.get(name)
            if known is None or urgency < known[0]:
                self._waiting[name] = urgency, job
                heapq.heappush(self._queue, (urgency, next(self._numbers), name))
                self._change.notify_all()

    def hold(self, held: bool) -> None:
        """Lets places to look at wait, or go on where `held` is false."""
        with self._change:
            self._held = held
            self._change.notify_all()

    def run(self) -> None:
        """Works until `end` is called."""
        while (job := self._next()) is not None:
            try:
                job()
            except (UserError, OSError) as error:
                log.warning("%s", error)
                self._trouble(str(error))
            except Exception:
                log.exception("a computation in the background failed")
                self._trouble(INTERNAL_ERROR)

    def do_all(self) -> None:
        """Does all jobs that wait, in the calling thread; for tests."""
        self.hold(False)
        while self._waiting:
            job = self._next()
            if job is not None:
                job()

    def end(self) -> None:
        """Stops the thread, and waits until it has stopped."""
        with self._change:
            self._ended = True
            self._change.notify_all()
        if self.is_alive():
            self.join()

    def _next(self) -> Job | None:
        with self._change:
            while not self._ended:
                while self._queue and not (self._held and self._queue[0][0] == PLACES):
                    _, _, name = heapq.heappop(self._queue)
                    if name in self._waiting:
                        return self._waiting.pop(name)[1]
                self._change.wait()
        return None
