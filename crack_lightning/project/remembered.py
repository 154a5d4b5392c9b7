"""Remembers results, so that the page does not wait for the same result twice."""

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Result = TypeVar("Result")


class Remembered(Generic[Result]):
    """The results of the last `max_count` questions, usable by any thread; errors are not remembered.

    Threads that ask the same question at the same time wait for one of them to compute the result.
    """

    def __init__(self, max_count: int) -> None:
        self.max_count, self._kept, self._change = max_count, dict[Hashable, Result](), threading.Condition()
        self._computing = set[Hashable]()

    def __contains__(self, question: Hashable) -> bool:
        with self._change:
            return question in self._kept

    def forget(self, question: Hashable) -> None:
        """Forgets the result for a question, if there is one."""
        with self._change:
            self._kept.pop(question, None)

    def of(self, question: Hashable, compute: Callable[[], Result]) -> Result:
        """Returns the result remembered for an equal question, else the result of `compute`."""
        with self._change:
            while question in self._computing:
                self._change.wait()
            if question in self._kept:
                self._kept[question] = self._kept.pop(question)  # moved to the end, as the question asked last
                return self._kept[question]
            self._computing.add(question)
        try:
            result = compute()
        except BaseException:
            self._end(question)
            raise
        with self._change:
            self._kept[question] = result
            while len(self._kept) > self.max_count:
                del self._kept[next(iter(self._kept))]
        self._end(question)
        return result

    def _end(self, question: Hashable) -> None:
        with self._change:
            self._computing.discard(question)
            self._change.notify_all()
