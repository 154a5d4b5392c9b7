"""Who may ask, and how much: checked before anything of a request is read."""

import hmac
import ipaddress
from collections.abc import Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from starlette.exceptions import HTTPException

Scope = MutableMapping[str, Any]
Asgi = Callable[[Scope, Callable[..., Any], Callable[..., Any]], Any]

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
    here. What changes something, or says something of photographs, must come from a page of this server, and where
    there is a `token`, have it.
    """

    def __init__(self, app: Asgi, *, hosts: Iterable[str], token: str | None) -> None:
        self.app, self.hosts, self.token = app, set(hosts), token

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
        host, asked = headers.get("host", ""), scope["path"].startswith(API)
        if self.token is None and host.lower() not in self.hosts:
            return 421, "this server is not called that: open the address that it printed"
        if self.token is not None and not _is_address(host) and host.lower() not in self.hosts:
            return 421, "open the address that was printed, with its numbers"
        if (origin := headers.get("origin")) is not None and origin.lower() != f"http://{host.lower()}":
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


def _limited(scope: Scope, receive: Callable[..., Any]) -> Callable[..., Any]:
    """What is received, up to MOST_BODY; photographs have a limit of their own."""
    if scope["path"].startswith(f"{API}uploads"):
        return receive
    taken = 0

    async def limited() -> Any:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > MOST_BODY:
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
