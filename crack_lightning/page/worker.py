"""Inspects photographs behind the page, one after the other, in a thread of its own."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from crack_lightning.corrections.correction_labels import labels_of
from crack_lightning.page.news import News
from crack_lightning.page.requests import INTERNAL_ERROR
from crack_lightning.project.drawn_cells import drawn_cells
from crack_lightning.project.first_look import first_look
from crack_lightning.project.learning_cells import compute_cells
from crack_lightning.project.project import Project
from crack_lightning.project.relearning import base_network
from crack_lightning.runs.inspection.inspected import Inspected
from crack_lightning.runs.inspection.inspecting import inspect_photograph
from crack_lightning.runs.inspection.photograph_files import done_before, folder_of, key_of

log = logging.getLogger(__name__)


class Worker(threading.Thread):
    """A thread that inspects photographs, reports what is done, and computes cells of corrections when idle."""

    def __init__(self, project: Project, news: News) -> None:
        super().__init__(name="inspecting", daemon=True)
        self.project, self.news = project, news
        self._waiting, self._change = deque[str](), threading.Condition()
        self._paused = self._ended = self._learning = False
        self._now: str | None = None
        self._done = self._total = 0

    def add(self, keys: Iterable[str]) -> None:
        """Queues these photographs too, unless they wait already."""
        with self._change:
            new = [key for key in keys if key not in self._waiting]
            if not self._waiting and self._now is None:
                self._done = self._total = 0
            self._waiting.extend(new)
            self._total += len(new)
            self._change.notify()
        self.send()

    def again(self) -> None:
        """Queues all inspected photographs once more, those with the most cracks first."""
        with self.project.guard:
            lengths = {
                key: inspected.cracks.length_px if inspected.cracks else 0.0
                for key, inspected in self.project.inspected.items()
            }
        self.add(sorted(lengths, key=lambda key: -lengths[key]))

    def first(self, key: str) -> None:
        """Moves a photograph that somebody looks at to the front of the queue."""
        with self._change:
            if key in self._waiting:
                self._waiting.remove(key)
                self._waiting.appendleft(key)

    def pause(self, paused: bool) -> None:
        """Stops after the photograph that is being inspected, or goes on."""
        with self._change:
            self._paused = paused
            self._change.notify()
        self.send()

    def learn(self) -> None:
        """Requests the cells of corrections that are not computed yet, for when nothing else waits."""
        with self._change:
            self._learning = True
            self._change.notify()

    def end(self) -> None:
        """Stops the thread, and waits until it has stopped."""
        with self._change:
            self._ended = True
            self._change.notify()
        if self.is_alive():
            self.join()

    def facts(self) -> dict[str, Any]:
        """Returns for the page how many are done of how many, which one is in work, and whether work is paused."""
        with self._change:
            waiting = len(self._waiting) + (self._now is not None)
            return {
                "done": self._done,
                "total": self._total,
                "waiting": waiting,
                "paused": self._paused,
                "now": self._now,
            }

    def send(self) -> None:
        """Sends the progress to every window."""
        self.news.send("progress", **self.facts())

    def run(self) -> None:
        """Works until `end`."""
        while (job := self._next()) is not None:
            try:
                job()
            except Exception as error:  # one photograph, or a full disk: the others and the page go on
                log.error("%s", error, exc_info=not isinstance(error, OSError | ValueError))
                self.news.send(
                    "trouble", message=str(error) if isinstance(error, OSError | ValueError) else INTERNAL_ERROR
                )

    def _next(self) -> Callable[[], None] | None:
        with self._change:
            while not self._ended:
                if self._waiting and not self._paused:
                    self._now = self._waiting.popleft()
                    return self._inspect
                if self._learning:
                    self._learning = False
                    return self._compute_cells
                self._change.wait()
        return None

    def _inspect(self) -> None:
        key, project = str(self._now), self.project
        try:
            self.send()
            photograph = project.photograph(key)
            inspection = project.inspection
            shows_first_look = self._done == 0 and not self._is_done(key)
            look = first_look(photograph, project.folder, inspection) if shows_first_look else None
            if look is not None:
                self.news.send("first_look", key=key, **look)
            inspected: Inspected = inspect_photograph(photograph, project.folder, inspection)
            with project.guard:
                project.inspected[key] = inspected
        finally:
            with self._change:
                self._now, self._done = None, self._done + 1
            self.news.send("photograph", key=key)
            self.send()

    def _is_done(self, key: str) -> bool:
        photograph = self.project.photograph(key)
        folder, settings = folder_of(self.project.folder, photograph), self.project.inspection.settings
        try:
            return done_before(folder, photograph, key_of(photograph, settings)) is not None
        except OSError:
            return True  # the file is gone: the inspection reports it

    def _compute_cells(self) -> None:
        project = self.project
        network = base_network(project)
        drawn_cells(network, project.options.cache_dir)
        compute_cells(project, network, labels_of(project.active))
