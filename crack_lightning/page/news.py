"""Sends what happens in a project to every open window, as server-sent events."""

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator
from typing import Any

ALIVE_S = 15.0  # seconds of silence after which an empty line shows that the server is there
MOST_WAITING = 1000  # unread events of a window; past that it has to load everything again


class News:
    """Events for all listeners; `tell` may be called by any thread.

    A window that was away loads the state of the project again: nothing needs to be sent twice.
    """

    def __init__(self) -> None:
        self._guard, self._listeners = threading.Lock(), set[tuple[asyncio.AbstractEventLoop, asyncio.Queue[str]]]()
        self._closed = False

    def send(self, kind: str, **facts: Any) -> None:
        """Sends an event to every window."""
        text = f"event: {kind}\ndata: {json.dumps(facts)}\n\n"
        with self._guard:
            for loop, queue in self._listeners:
                with contextlib.suppress(RuntimeError):  # its loop has ended
                    loop.call_soon_threadsafe(_put, queue, text)

    def close(self) -> None:
        """Ends all listening, so that the server can end."""
        self._closed = True
        self.send("end")

    async def listen(self) -> AsyncIterator[str]:
        """Yields the events of one window, as they happen."""
        listener = asyncio.get_running_loop(), asyncio.Queue[str](MOST_WAITING)
        with self._guard:
            self._listeners.add(listener)
        try:
            yield "event: hello\ndata: {}\n\n"
            while not self._closed:
                try:
                    yield await asyncio.wait_for(listener[1].get(), ALIVE_S)
                except TimeoutError:
                    yield ": \n\n"
        finally:
            with self._guard:
                self._listeners.discard(listener)


def _put(queue: "asyncio.Queue[str]", text: str) -> None:
    while queue.full():
        queue.get_nowait()
        text = "event: hello\ndata: {}\n\n"
    queue.put_nowait(text)
