"""Remembers results, so that the page need not wait for them twice."""

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Found = TypeVar("Found")


class Remembered(Generic[Found]):
    """Results of the last `most` questions, for any thread; errors are not remembered."""

    def __init__(self, most: int) -> None:
        self.most, self._kept, self._guard = most, dict[Hashable, Found](), threading.Lock()

    def of(self, question: Hashable, answer: Callable[[], Found]) -> Found:
        """Returns what `answer` gave for an equal question, or gives now."""
        with self._guard:
            if question in self._kept:
                self._kept[question] = self._kept.pop(question)  # now the one that was asked last
                return self._kept[question]
        result = answer()
        with self._guard:
            self._kept[question] = result
            while len(self._kept) > self.most:
                del self._kept[next(iter(self._kept))]
        return result
