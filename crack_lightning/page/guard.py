"""Checks who may send a request, and how much, before anything of it is read."""

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

IDLE_S, LEAST_BYTES_S = 20.0, 4096.0  # a request that is silent for longer, or slower, is dropped
MOST_NAME = 100
MOST_BODY = 2 * 2**20  # bytes of a request that is not a photograph: 20,000 points take a third of it
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
OWN_SITES = ("same-origin", "none", "")  # values of sec-fetch-site for requests of our own page
API = "/api/"


class Guard:
    """ASGI middleware that lets a request through to `app`, or answers why not.

    `hosts` are the names that a browser may call this server by: any other is a foreign page whose name was made to
    point here. `named` are the names by which others forward to it, a port of another computer or a server with https;
    one without a port stands for any port. A request that changes something, or asks about photographs, must come from
    a page of this server and, where there is a `token`, have it.
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
        """Returns status and message for a request that may not be answered, None for any other."""
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        host, is_api = headers.get("host", "").lower(), scope["path"].startswith(API)
        named = host in self.named or _without_port(host) in self.named
        if not (named or host in self.hosts or (self.token is not None and _is_address(host))):
            shown = showable(host)[:MOST_NAME]
            return 421, (
                f"this server is not called {shown}: open the address that it printed, or, if that is how you forward "
                f"to it, start it with hosts=[{shown}]"
            )
        origins = {f"http://{host}", *([f"https://{host}"] if named else [])}
        if (origin := headers.get("origin")) is not None and origin.lower() not in origins:
            return 403, "a page of another site may not ask this one"
        if is_api and headers.get("sec-fetch-site", "") not in OWN_SITES:
            return 403, "a page of another site may not ask this one"
        if is_api and scope["method"] not in SAFE:
            kind = headers.get("content-type", "").partition(";")[0]
            if kind not in ("application/json", "application/octet-stream"):
                return 415, "a request has JSON, or the bytes of a photograph"
        if is_api and self.token is not None and not self._has_token(scope, headers):
            return 401, "open the address that was printed when the server started: it has the token"
        return None

    def _has_token(self, scope: Scope, headers: dict[str, str]) -> bool:
        secret = headers.get("authorization", "").removeprefix("Bearer ")
        secret = secret or parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        return hmac.compare_digest(secret.encode(), (self.token or "").encode())


def _is_address(host: str) -> bool:
    """Returns whether a Host is an IP address: a name could point here from anywhere."""
    try:
        ipaddress.ip_address(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False
    return True


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host


def _limited(scope: Scope, receive: Callable[..., Any]) -> Callable[..., Any]:
    """Returns `receive` with limits: MOST_BODY bytes (photographs have a limit of their own), IDLE_S of silence, and
    LEAST_BYTES_S of speed."""
    size, more, start_s = 0, True, time.monotonic()
    limit = float("inf") if scope["path"].startswith(f"{API}uploads") else MOST_BODY

    async def limited() -> Any:
        nonlocal size, more
        if not more:
            return await receive()  # waits until the browser disconnects
        left_s = IDLE_S + size / LEAST_BYTES_S - (time.monotonic() - start_s)
        try:
            with anyio.fail_after(max(0.0, min(IDLE_S, left_s))):
                message = await receive()
        except TimeoutError as error:
            raise HTTPException(408, "the request came too slowly, or stopped: send it again") from error
        size, more = size + len(message.get("body", b"")), bool(message.get("more_body"))
        if size > limit:
            raise HTTPException(413, f"a request of more than {MOST_BODY} bytes that is not a photograph")
        return message

    return limited


def _with_headers(send: Callable[..., Any]) -> Callable[..., Any]:
    async def sending(message: Any) -> None:
        if message["type"] == "http.response.start":
            present = {name.lower() for name, _ in message["headers"]}
            missing = [header for header in (*HEADERS, (b"cache-control", b"no-store")) if header[0] not in present]
            message = {**message, "headers": [*message["headers"], *missing]}
        await send(message)

    return sending


async def _answer(send: Callable[..., Any], status: int, text: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), *HEADERS]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": f"{text}\n".encode()})
