"""What happens in a project, told to every window that is open: server-sent events."""

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator
from typing import Any

ALIVE_S = 15.0  # after which an empty line says that the server is there
MOST_WAITING = 1000  # events of a window that does not read them; it loads everything anew then


class News:
    """Events for all listeners; `tell` may be called by any thread.

    A window that was away loads the state of the project again: nothing needs to be told twice.
    """

    def __init__(self) -> None:
        self._guard, self._listeners = threading.Lock(), set[tuple[asyncio.AbstractEventLoop, asyncio.Queue[str]]]()
        self._closed = False

    def tell(self, kind: str, **facts: Any) -> None:
        """Send an event to every window."""
        text = f"event: {kind}\ndata: {json.dumps(facts)}\n\n"
        with self._guard:
            for loop, queue in self._listeners:
                with contextlib.suppress(RuntimeError):  # its loop has ended
                    loop.call_soon_threadsafe(_put, queue, text)

    def close(self) -> None:
        """End what is listened to, so that the server can end."""
        self._closed = True
        self.tell("end")

    async def listen(self) -> AsyncIterator[str]:
        """Events of one window, as they happen."""
        member = asyncio.get_running_loop(), asyncio.Queue[str](MOST_WAITING)
        with self._guard:
            self._listeners.add(member)
        try:
            yield "event: hello\ndata: {}\n\n"
            while not self._closed:
                try:
                    yield await asyncio.wait_for(member[1].get(), ALIVE_S)
                except TimeoutError:
                    yield ": \n\n"
        finally:
            with self._guard:
                self._listeners.discard(member)


def _put(queue: "asyncio.Queue[str]", text: str) -> None:
    while queue.full():
        queue.get_nowait()
        text = "event: hello\ndata: {}\n\n"
    queue.put_nowait(text)
