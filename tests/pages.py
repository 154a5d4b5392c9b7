"""The page's server as tests ask it: without a network, over a project of one wall."""

import asyncio
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from projects import copy_inspected, inspect_all

HOST = "127.0.0.1:8765"


class Asked:
    """A client of the ASGI app, without a network; `headers` are those of a page of this server."""

    def __init__(self, app: Any, project: Any, worker: Any) -> None:
        self.app, self.project, self.worker, self.news = app, project, worker, worker.news
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
    return Asked(Guard(application(project, worker), hosts=[HOST], token=token), project, worker)


def opened(folder: Path, walls: Path) -> Any:
    """A project over one wall, inspected."""
    from conftest import compose_into

    from crack_lightning.cli.options import options_of
    from crack_lightning.project.project import open_project

    (folder / "site").mkdir()
    shutil.copy2(walls / "site/a.png", folder / "site")
    copy_inspected(walls, folder, "a.png")
    given = [f"source={folder / 'site'}", "engine=folded", "max_upload_mb=1"]
    made = open_project(options_of(compose_into(folder / "project", "serve", given)), folder / "project")
    inspect_all(made)
    return made


def key_of(ask: Asked) -> str:
    """Of the only photograph."""
    return str(ask.json("GET", "/api/project")["photographs"][0]["key"])


@pytest.fixture
def ask(walls_inspected: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    """A page of its own."""
    made = opened(tmp_path, walls_inspected)
    yield served(made)
    made.close()


@pytest.fixture
def key(ask: Asked) -> str:
    """Of its only photograph."""
    return key_of(ask)


@pytest.fixture(scope="module")
def attacked(walls_inspected: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    """A page that all attacks of a module share: none of them may leave a file in it."""
    made = opened(tmp_path_factory.mktemp("attacked"), walls_inspected)
    yield served(made)
    assert not (made.folder / "uploads").exists() or not list((made.folder / "uploads").iterdir())
    made.close()
