"""Inspects photographs for the page, one after the other, in a background thread."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from crack_lightning.page.jobs import LEARNING, PLACES, ROW, TRIED, WRITING, Jobs
from crack_lightning.page.news import News
from crack_lightning.page.requests import INTERNAL_ERROR
from crack_lightning.project.attention import are_found, find_places
from crack_lightning.project.first_look import first_look
from crack_lightning.project.learned import proposal
from crack_lightning.project.project import Project
from crack_lightning.project.rows import Rows, is_due, row_facts
from crack_lightning.project.shown_cracks import remember_values, shown_cracks
from crack_lightning.runs.inspection.inspected import Inspected
from crack_lightning.runs.inspection.inspecting import inspect_photograph
from crack_lightning.runs.inspection.photograph_files import done_before, folder_of, key_of

log = logging.getLogger(__name__)


class Worker(threading.Thread):
    """A thread that inspects queued photographs and reports progress; `jobs` computes what follows from it."""

    def __init__(self, project: Project, news: News) -> None:
        super().__init__(name="inspecting", daemon=True)
        self.project, self.news, self.rows = project, news, Rows(project)
        self.jobs = Jobs(lambda message: news.send("trouble", message=message))
        self._waiting, self._change = deque[str](), threading.Condition()
        self._paused = self._ended = False
        self._current: str | None = None
        self._wanted = ""  # the key of the photograph that somebody waits for
        self._done = self._total = 0

    def start(self) -> None:
        """Starts both threads, and computes what an earlier server left."""
        self.jobs.start()
        super().start()
        self.follow_all()

    def follow_all(self) -> None:
        """Looks in the background for what has to be computed of any photograph."""
        self.jobs.add(ROW, "all", lambda: self.follow(list(self.project.inspected)))

    def follow(self, keys: Iterable[str]) -> None:
        """Computes the rows of photographs, and what to look at next in them, where they are not kept."""
        for key in keys:
            if is_due(self.project, self.rows, key):
                self.jobs.add(ROW, ("row", key), partial(self._compute_row, key))
            if not are_found(self.project, key):
                self.jobs.add(PLACES, ("places", key), partial(find_places, self.project, key))

    def _compute_row(self, key: str) -> None:
        if is_due(self.project, self.rows, key):
            self.rows.compute(key)
            self.send_row(key)

    def write_row(self, key: str) -> None:
        """Writes the row of a photograph that a correction changed, after what is more urgent."""
        self.jobs.add(WRITING, ("write", key), partial(self.rows.write, key))

    def send_row(self, key: str) -> None:
        """Sends a photograph's row to every window."""
        self.news.send("row", row=row_facts(self.project, self.rows, key))

    def measure(self, key: str, threshold: float) -> None:
        """Measures the marks of a photograph at a threshold that somebody tries, and says so when it is done."""

        def job() -> None:
            shown_cracks(self.project, key, threshold)
            self.news.send("measured", key=key, threshold=threshold)

        self.jobs.add(TRIED, ("tried", key, threshold), job)

    def add(self, keys: Iterable[str]) -> None:
        """Adds to the queue those of these photographs that are not waiting already."""
        with self._change:
            new = [key for key in keys if key not in self._waiting]
            if not self._waiting and self._current is None:
                self._done = self._total = 0
            self._waiting.extend(new)
            self._total += len(new)
            self._change.notify()
        self.send_progress()

    def announce(self, keys: list[str]) -> dict[str, list[str]]:
        """Sends the rows of photographs that were added to every window, and adds them to the queue."""
        self.news.send("photographs", rows=[row_facts(self.project, self.rows, key) for key in keys])
        self.add(keys)
        return {"keys": keys}

    def propose(self) -> None:
        """Finds out what taking over people's judgements would change, and reports progress and the result."""

        def report(done: int, total: int) -> None:
            self.news.send("proposing", done=done, total=total)

        self.jobs.add(
            LEARNING, "learning", lambda: self.news.send("proposal", **proposal(self.project, report).facts())
        )

    def reinspect(self, first: str = "") -> None:
        """Queues all inspected photographs again: the `first` one, for which somebody waits, then those with the
        longest cracks."""
        with self.project.guard:
            lengths = {
                key: inspected.cracks.length_px if inspected.cracks else 0.0
                for key, inspected in self.project.inspected.items()
            }
        self.add(sorted(lengths, key=lambda key: (key != first, -lengths[key])))
        self.prioritise(first)

    def prioritise(self, key: str) -> None:
        """Moves a photograph that somebody looks at to the front of the queue; until it is inspected, places to look at
        next wait."""
        with self._change:
            if key in self._waiting:
                self._waiting.remove(key)
                self._waiting.appendleft(key)
            if key in self._waiting or key == self._current:
                self._wanted = key
            self._hold_places()

    def prepare(self, key: str) -> None:
        """Reads in the background what the first judgement in an opened photograph needs."""
        self.jobs.add(ROW, ("values", key), partial(remember_values, self.project, key))

    def set_paused(self, paused: bool) -> None:
        """Pauses after the photograph that is being inspected, or resumes where `paused` is false."""
        with self._change:
            self._paused = paused
            self._hold_places()
            self._change.notify()
        self.send_progress()

    def _hold_places(self) -> None:
        awaited = self._wanted == self._current or (self._wanted in self._waiting and not self._paused)
        self.jobs.hold(awaited)

    def end(self) -> None:
        """Stops the thread, and waits until it has stopped."""
        with self._change:
            self._ended = True
            self._change.notify()
        self.jobs.end()
        if self.is_alive():
            self.join()

    def facts(self) -> dict[str, Any]:
        """Returns the progress for the page; `now` is the key of the photograph that is being inspected."""
        with self._change:
            waiting = len(self._waiting) + (self._current is not None)
            return {
                "done": self._done,
                "total": self._total,
                "waiting": waiting,
                "paused": self._paused,
                "now": self._current,
            }

    def send_progress(self) -> None:
        """Sends the progress to every window of the page."""
        self.news.send("progress", **self.facts())

    def run(self) -> None:
        """Works until `end` is called."""
        while (job := self._next()) is not None:
            try:
                job()
            except Exception as error:  # a photograph failed or the disk is full: the page and the queue continue
                log.error("%s", error, exc_info=not isinstance(error, OSError | ValueError))
                self.news.send(
                    "trouble", message=str(error) if isinstance(error, OSError | ValueError) else INTERNAL_ERROR
                )

    def _next(self) -> Callable[[], None] | None:
        with self._change:
            while not self._ended:
                if self._waiting and not self._paused:
                    self._current = self._waiting.popleft()
                    return self._inspect
                self._change.wait()
        return None

    def _inspect(self) -> None:
        key, project = str(self._current), self.project
        try:
            self.send_progress()
            if key not in project.photographs:  # it was taken out
                return
            photograph = project.photograph(key)
            inspection = project.inspection
            shows_first_look = self._done == 0 and not self._has_results(key)
            look = first_look(photograph, project.folder, inspection) if shows_first_look else None
            if look is not None:
                self.news.send("first_look", key=key, **look)
            inspected: Inspected = inspect_photograph(photograph, project.folder, inspection)
            with project.guard:
                if key in project.photographs:
                    project.inspected[key] = inspected
            self.follow([key])
        finally:
            with self._change:
                self._current, self._done = None, self._done + 1
                self._hold_places()
            if key in project.photographs:
                self.news.send("photograph", key=key, row=row_facts(project, self.rows, key))
            self.send_progress()

    def _has_results(self, key: str) -> bool:
        photograph = self.project.photograph(key)
        folder, settings = folder_of(self.project.folder, photograph), self.project.inspection.settings
        try:
            return done_before(folder, photograph, key_of(photograph, settings)) is not None
        except OSError:
            return True  # the file is gone, which its inspection will report
