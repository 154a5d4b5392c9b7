"""Tells every open window of the page what happens in the project, by server-sent events."""

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator
from typing import Any

KEEP_ALIVE_S = 15.0  # seconds of silence after which an empty comment shows that the server is still there
MAX_UNREAD = 1000  # unread events of a window; if there are more, it is told to load everything again


class News:
    """Events for all open windows; `send` may be called by any thread.

    No event is sent twice: a window that lost its connection loads the whole state of the project again.
    """

    def __init__(self) -> None:
        self._guard, self._listeners = threading.Lock(), set[tuple[asyncio.AbstractEventLoop, asyncio.Queue[str]]]()
        self._closed = False

    def send(self, kind: str, **facts: Any) -> None:
        """Sends an event to every window."""
        text = f"event: {kind}\ndata: {json.dumps(facts)}\n\n"
        with self._guard:
            for loop, queue in self._listeners:
                with contextlib.suppress(RuntimeError):  # the event loop of that window has ended
                    loop.call_soon_threadsafe(_put, queue, text)

    def close(self) -> None:
        """Ends all streams of events, for which the server would otherwise wait."""
        self._closed = True
        self.send("end")

    async def listen(self) -> AsyncIterator[str]:
        """Yields the events of one window, as they happen."""
        listener = asyncio.get_running_loop(), asyncio.Queue[str](MAX_UNREAD)
        with self._guard:
            self._listeners.add(listener)
        try:
            yield "event: hello\ndata: {}\n\n"
            while not self._closed:
                try:
                    yield await asyncio.wait_for(listener[1].get(), KEEP_ALIVE_S)
                except TimeoutError:
                    yield ": \n\n"
        finally:
            with self._guard:
                self._listeners.discard(listener)


def _put(queue: "asyncio.Queue[str]", text: str) -> None:
    while queue.full():
        queue.get_nowait()
        text = "event: hello\ndata: {}\n\n"  # which makes the window load everything again
    queue.put_nowait(text)
