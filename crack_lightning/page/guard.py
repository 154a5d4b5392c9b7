"""Who may ask, and how much: checked before anything of a request is read."""

import hmac
import ipaddress
import time
from collections.abc import Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import anyio
from starlette.exceptions import HTTPException

from crack_lightning.system.names import showable

Scope = MutableMapping[str, Any]
Asgi = Callable[[Scope, Callable[..., Any], Callable[..., Any]], Any]

IDLE_S, LEAST_BYTES_S = 20.0, 4096.0  # a request that says nothing for so long, or comes more slowly, is given up
MOST_NAME = 100
MOST_BODY = 2 * 2**20  # of a request that is no photograph: 20,000 points are a third of it
HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
SAFE = ("GET", "HEAD")
OURS = ("same-origin", "none", "")  # where a browser says that a request comes from
API = "/api/"


class Guard:
    """Lets a request through to `app`, or answers why not.

    `hosts` are the names that a browser may call this server by: another one is a foreign page that had its name point
    here. `named` are those by which others forward to it, a port of another computer or a server with https; one
    without a port is meant with any. What changes something, or says something of photographs, must come from a page
    of this server, and where there is a `token`, have it.
    """

    def __init__(self, app: Asgi, *, hosts: Iterable[str], token: str | None, named: Iterable[str] = ()) -> None:
        self.app, self.hosts, self.token = app, set(hosts), token
        self.named = {name.lower() for name in named}

    async def __call__(self, scope: Scope, receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
                return
            await self.app(scope, receive, send)
            return
        refused = self._refused(scope)
        if refused is not None:
            await _answer(send, *refused)
            return
        await self.app(scope, _limited(scope, receive), _with_headers(send))

    def _refused(self, scope: Scope) -> tuple[int, str] | None:
        """Status and message for a request that may not be answered."""
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        host, asked = headers.get("host", "").lower(), scope["path"].startswith(API)
        named = host in self.named or _without_port(host) in self.named
        if not (named or host in self.hosts or (self.token is not None and _is_address(host))):
            shown = showable(host)[:MOST_NAME]
            return 421, (
                f"this server is not called {shown}: open the address that it printed, or, if that is how you forward "
                f"to it, start it with hosts=[{shown}]"
            )
        ours = {f"http://{host}", *([f"https://{host}"] if named else [])}
        if (origin := headers.get("origin")) is not None and origin.lower() not in ours:
            return 403, "a page of another site may not ask this one"
        if asked and headers.get("sec-fetch-site", "") not in OURS:
            return 403, "a page of another site may not ask this one"
        if asked and scope["method"] not in SAFE:
            kind = headers.get("content-type", "").partition(";")[0]
            if kind not in ("application/json", "application/octet-stream"):
                return 415, "a request has JSON, or the bytes of a photograph"
        if asked and self.token is not None and not self._has_token(scope, headers):
            return 401, "open the address that was printed when the server started: it has the token"
        return None

    def _has_token(self, scope: Scope, headers: dict[str, str]) -> bool:
        given = headers.get("authorization", "").removeprefix("Bearer ")
        given = given or parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        return hmac.compare_digest(given.encode(), (self.token or "").encode())


def _is_address(host: str) -> bool:
    """Whether a Host is numbers: a name could point here from anywhere."""
    try:
        ipaddress.ip_address(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False
    return True


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host


def _limited(scope: Scope, receive: Callable[..., Any]) -> Callable[..., Any]:
    """What is received, up to MOST_BODY (photographs have a limit of their own), and while it goes on coming."""
    taken, more, began_s = 0, True, time.monotonic()
    most = float("inf") if scope["path"].startswith(f"{API}uploads") else MOST_BODY

    async def limited() -> Any:
        nonlocal taken, more
        if not more:
            return await receive()  # until the browser goes
        left_s = IDLE_S + taken / LEAST_BYTES_S - (time.monotonic() - began_s)
        try:
            with anyio.fail_after(max(0.0, min(IDLE_S, left_s))):
                message = await receive()
        except TimeoutError as error:
            raise HTTPException(408, "the request came too slowly, or stopped: send it again") from error
        taken, more = taken + len(message.get("body", b"")), bool(message.get("more_body"))
        if taken > most:
            raise HTTPException(413, f"a request of more than {MOST_BODY} bytes that is no photograph")
        return message

    return limited


def _with_headers(send: Callable[..., Any]) -> Callable[..., Any]:
    async def sending(message: Any) -> None:
        if message["type"] == "http.response.start":
            known = {name.lower() for name, _ in message["headers"]}
            added = [header for header in (*HEADERS, (b"cache-control", b"no-store")) if header[0] not in known]
            message = {**message, "headers": [*message["headers"], *added]}
        await send(message)

    return sending


async def _answer(send: Callable[..., Any], status: int, text: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), *HEADERS]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": f"{text}\n".encode()})
