"""Checks where a request comes from before it is read, and limits its size and how long it may take."""

import hmac
import ipaddress
import time
from collections.abc import Callable, Iterable, MutableMapping
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

import anyio
from starlette.exceptions import HTTPException

from crack_lightning.system.names import showable

Scope = MutableMapping[str, Any]
Asgi = Callable[[Scope, Callable[..., Any], Callable[..., Any]], Any]

IDLE_S, MIN_BYTES_PER_S = 20.0, 4096.0  # a request is dropped after this silence, or if it is slower
MAX_SHOWN_HOST = 100  # characters of a host name that a message repeats
MAX_BODY_BYTES = 2 * 2**20  # of a request other than an upload; a correction of 20,000 points takes a third of it
SECURITY_HEADERS = (
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
READING_METHODS = ("GET", "HEAD")  # methods of requests that change nothing
OWN_SITES = ("same-origin", "none", "")  # values of sec-fetch-site in requests from our own page
API_PREFIX = "/api/"
TOKEN_COOKIE = "crack_lightning_token"  # is asked for where pages cannot add the token: for pictures of a report


class Guard:
    """ASGI middleware that passes a request on to `app`, or answers why it is refused.

    `hosts` are the names by which a browser may call this server; a request under another name may come from a foreign
    site whose name was made to resolve to this server (DNS rebinding). `named` are further names, under which a
    forwarded port or an https server leads here; a name without a port is valid for every port. A request to the API
    must come from this server's own page and, if there is a `token`, contain it.
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
        refusal = self._refusal(scope)
        if refusal is not None:
            await _answer(send, *refusal)
            return
        await self.app(scope, _limited(scope, receive), _with_headers(send))

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Returns the HTTP status and the message that refuse a request; None where it is allowed."""
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        host, is_api = headers.get("host", "").lower(), scope["path"].startswith(API_PREFIX)
        is_named = host in self.named or _without_port(host) in self.named
        if not (is_named or host in self.hosts or (self.token is not None and _is_address(host))):
            shown = showable(host)[:MAX_SHOWN_HOST]
            return 421, (
                f"{shown} is not a name of this server: open the address that it printed or, if that name forwards to "
                f"it, start it with hosts=[{shown}]"
            )
        origins = {f"http://{host}", *([f"https://{host}"] if is_named else [])}
        if (origin := headers.get("origin")) is not None and origin.lower() not in origins:
            return 403, "pages of other sites may not send requests to this server"
        if is_api and headers.get("sec-fetch-site", "") not in OWN_SITES:
            return 403, "pages of other sites may not send requests to this server"
        if is_api and scope["method"] not in READING_METHODS:
            media_type = headers.get("content-type", "").partition(";")[0]
            if media_type not in ("application/json", "application/octet-stream"):
                return 415, "a request must contain JSON, or the bytes of a photograph"
        if is_api and self.token is not None and not self._has_token(scope, headers):
            return 401, "open the address that was printed when the server started: it contains the token"
        return None

    def _has_token(self, scope: Scope, headers: dict[str, str]) -> bool:
        secret = headers.get("authorization", "").removeprefix("Bearer ")
        secret = secret or parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if not secret and scope["method"] in READING_METHODS:
            cookies = SimpleCookie(headers.get("cookie", ""))
            secret = cookies[TOKEN_COOKIE].value if TOKEN_COOKIE in cookies else ""
        return hmac.compare_digest(secret.encode(), (self.token or "").encode())


def _is_address(host: str) -> bool:
    """Returns whether `host` is an IP address, which no foreign site can make resolve to this server."""
    try:
        ipaddress.ip_address(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False
    return True


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host


def _limited(scope: Scope, receive: Callable[..., Any]) -> Callable[..., Any]:
    """Returns `receive` limited by MAX_BODY_BYTES (except for uploads), IDLE_S and MIN_BYTES_PER_S."""
    size, has_more, start_s = 0, True, time.monotonic()
    limit = float("inf") if scope["path"].startswith(f"{API_PREFIX}uploads") else MAX_BODY_BYTES

    async def limited() -> Any:
        nonlocal size, has_more
        if not has_more:
            return await receive()  # waits until the browser disconnects
        left_s = IDLE_S + size / MIN_BYTES_PER_S - (time.monotonic() - start_s)
        try:
            with anyio.fail_after(max(0.0, min(IDLE_S, left_s))):
                message = await receive()
        except TimeoutError as error:
            raise HTTPException(408, "the request came too slowly, or stopped: send it again") from error
        size, has_more = size + len(message.get("body", b"")), bool(message.get("more_body"))
        if size > limit:
            raise HTTPException(
                413, f"the request is larger than {MAX_BODY_BYTES} bytes, which only uploads of photographs may be"
            )
        return message

    return limited


def _with_headers(send: Callable[..., Any]) -> Callable[..., Any]:
    async def sending(message: Any) -> None:
        if message["type"] == "http.response.start":
            present = {name.lower() for name, _ in message["headers"]}
            missing = [
                header for header in (*SECURITY_HEADERS, (b"cache-control", b"no-store")) if header[0] not in present
            ]
            message = {**message, "headers": [*message["headers"], *missing]}
        await send(message)

    return sending


async def _answer(send: Callable[..., Any], status: int, text: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), *SECURITY_HEADERS]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": f"{text}\n".encode()})
