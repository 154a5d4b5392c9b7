"""Remembers results, so that the page does not wait for the same result twice."""

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Result = TypeVar("Result")


class Remembered(Generic[Result]):
    """The results of the last `max_count` questions, usable by any thread; errors are not remembered."""

    def __init__(self, max_count: int) -> None:
        self.max_count, self._kept, self._guard = max_count, dict[Hashable, Result](), threading.Lock()

    def of(self, question: Hashable, compute: Callable[[], Result]) -> Result:
        """Returns the result remembered for an equal question, else the result of `compute`."""
        with self._guard:
            if question in self._kept:
                self._kept[question] = self._kept.pop(question)  # moved to the end, as the question asked last
                return self._kept[question]
        result = compute()
        with self._guard:
            self._kept[question] = result
            while len(self._kept) > self.max_count:
                del self._kept[next(iter(self._kept))]
        return result
