"""The addresses of the page: each one a function of `runs`, asked for by a browser."""

import json
import logging
import math
from collections.abc import AsyncIterator, Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import anyio
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from starlette.exceptions import HTTPException as StarletteError
from starlette.requests import ClientDisconnect

from crack_lightning.corrections.record import number_of
from crack_lightning.errors import UserError
from crack_lightning.page.news import News
from crack_lightning.page.proposals import Proposals
from crack_lightning.page.views import map_picture, photograph_facts, place_facts, project_facts
from crack_lightning.page.worker import OURS, Worker
from crack_lightning.runs.photograph_files import folder_of
from crack_lightning.runs.project.attention import places_to_look_at
from crack_lightning.runs.project.cracks import LEAST_THRESHOLD, correct
from crack_lightning.runs.project.folder import Project
from crack_lightning.runs.project.hand_over import HANDED_OVER, hand_over
from crack_lightning.runs.project.photographs import add_source, add_upload
from crack_lightning.runs.project.pictures import tile
from crack_lightning.runs.project.scales import set_scale
from crack_lightning.system.files import is_full, is_own_file
from crack_lightning.system.names import showable

log = logging.getLogger(__name__)

KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}
KEPT = {"cache-control": "private, max-age=86400"}  # of pictures whose address changes with them
MOST_PATH = 4096
PICTURES = ("photograph.jpg", "thumbnail.jpg", "overlay.png")


def application(project: Project, worker: Worker, news: News) -> FastAPI:
    """The page over a project, and what it asks for."""
    app = FastAPI(title="crack_lightning", docs_url=None, redoc_url=None, openapi_url=None)
    proposals = Proposals(project, news)
    _errors(app)
    _pages(app)
    _looking(app, project, worker, news)
    _pictures(app, project)
    _correcting(app, project, worker, news)
    _adding(app, project, worker, news)
    _learning(app, project, worker, proposals)
    _handing_over(app, project)
    return app


def _errors(app: FastAPI) -> None:
    """Whatever goes wrong, the page gets our words for it."""

    async def answer(request: Request, error: Exception) -> Response:
        if isinstance(error, RequestValidationError):
            places = {str(each["loc"][-1]) for each in error.errors()}
            return JSONResponse({"error": f"{', '.join(sorted(places))}: of another kind, or missing"}, 422)
        if isinstance(error, ClientDisconnect):
            return JSONResponse({"error": "the request was given up"}, 400)
        if isinstance(error, StarletteError):
            return JSONResponse({"error": str(error.detail)}, error.status_code)
        if isinstance(error, OSError) and is_full(error):
            return JSONResponse({"error": showable(str(error.strerror))}, 507)
        if isinstance(error, UserError | FileNotFoundError):
            return JSONResponse({"error": showable(str(error))}, 400)
        if isinstance(error, OSError):
            return JSONResponse({"error": showable(f"{error.filename or ''}: {error.strerror or error}")}, 400)
        log.error("%s %s", request.method, request.url.path, exc_info=error)
        return JSONResponse({"error": OURS}, 500)

    for kind in (ClientDisconnect, RequestValidationError, StarletteError, UserError, OSError, Exception):
        app.add_exception_handler(kind, answer)


def _pages(app: FastAPI) -> None:
    known = {path.name: path.read_bytes() for path in map(Path, _assets())}

    @app.get("/")
    def page() -> Response:
        return Response(known["page.html"], media_type=KINDS[".html"])

    @app.get("/favicon.ico")
    def icon() -> Response:
        return Response(status_code=204)

    @app.get("/assets/{name}")
    def asset(name: str) -> Response:
        if name not in known:
            raise HTTPException(404, "there is no such file")
        return Response(known[name], media_type=KINDS[Path(name).suffix])


def _assets() -> Iterator[str]:
    for entry in files("crack_lightning.page").iterdir():
        if Path(entry.name).suffix in KINDS:
            yield str(entry)


def _looking(app: FastAPI, project: Project, worker: Worker, news: News) -> None:
    @app.get("/api/project")
    def whole() -> Any:
        return {**project_facts(project), "progress": worker.facts()}

    @app.get("/api/news")
    async def listen() -> Response:
        return StreamingResponse(news.listen(), media_type="text/event-stream")

    @app.get("/api/photographs/{key}")
    def photograph(key: str, threshold: float | None = None) -> Any:
        if threshold is not None and not LEAST_THRESHOLD <= threshold <= 1 - LEAST_THRESHOLD:
            raise UserError(f"threshold={threshold}: {LEAST_THRESHOLD:g} to {1 - LEAST_THRESHOLD:g}")
        worker.first(key)
        return photograph_facts(project, key, threshold)

    @app.get("/api/places")
    def places() -> Any:
        return place_facts(places_to_look_at(project))


def _pictures(app: FastAPI, project: Project) -> None:
    @app.get("/api/photographs/{key}/{name}")
    def picture(key: str, name: str) -> Response:
        if name == "map.png":
            project.photograph(key)
            return Response(map_picture(project, key), media_type="image/png", headers=KEPT)
        path = folder_of(project.folder, project.photograph(key)) / name
        if name not in PICTURES or not is_own_file(path, project.folder):
            raise HTTPException(404, "there is no such picture yet")
        return FileResponse(path, headers=KEPT)

    @app.get("/api/photographs/{key}/tiles/{level}/{column}/{row}")
    def cut(key: str, level: int, column: int, row: int) -> Response:
        path = project.photograph(key).path
        content = tile(path, level, column, row, megapixels=project.options.max_megapixels)
        return Response(content, media_type="image/jpeg", headers=KEPT)


def _correcting(app: FastAPI, project: Project, worker: Worker, news: News) -> None:
    def said(write: Callable[[Project, Any], Any], facts: Any) -> Any:
        made = write(project, facts)
        of = made if made.of is None else project.journal.corrections[made.of - 1]
        news.tell("correction", number=made.number, photograph=showable(of.photograph), scale=of.kind == "scale")
        worker.learn()
        return {"number": made.number}

    @app.post("/api/corrections")
    async def correction(request: Request) -> Any:
        return await anyio.to_thread.run_sync(said, correct, _named(project, await _json(request)))

    @app.post("/api/scale")
    async def scale(request: Request) -> Any:
        return await anyio.to_thread.run_sync(said, set_scale, _named(project, await _json(request)))

    @app.post("/api/settings")
    async def settings(request: Request) -> Any:
        facts = await _json(request)
        changes = {name: _number(facts, name) for name in ("threshold", "shortest_px") if name in facts}
        low, high = LEAST_THRESHOLD, 1 - LEAST_THRESHOLD
        if not low <= changes.get("threshold", 0.5) <= high or not 0 <= changes.get("shortest_px", 0) < 1e6:
            raise UserError(f"{changes}: a threshold of {low:g} to {high:g}, a length of 0 or more")
        await anyio.to_thread.run_sync(lambda: project.set(**changes))
        news.tell("settings", **changes)
        worker.add(list(project.inspected))
        return changes


def _adding(app: FastAPI, project: Project, worker: Worker, news: News) -> None:
    def added(keys: list[str]) -> Any:
        news.tell("photographs", count=len(keys))
        worker.add(keys)
        return {"keys": keys}

    @app.post("/api/sources")
    async def source(request: Request) -> Any:
        facts = await _json(request)
        path = facts.get("path") or ""
        if not isinstance(path, str) or len(path) > MOST_PATH or "\0" in path:
            raise UserError(f"path is no name of a folder of at most {MOST_PATH} characters")
        return added(await anyio.to_thread.run_sync(add_source, project, path))

    @app.put("/api/uploads")
    async def upload(request: Request, name: str) -> Any:
        if int(request.headers.get("content-length") or 0) > project.options.max_upload_mb * 2**20:
            raise UserError(
                f"it has more than max_upload_mb={project.options.max_upload_mb:g}: name its folder instead"
            )
        stream = request.stream()
        return added([await anyio.to_thread.run_sync(add_upload, project, name[:4096], _blocking(stream))])

    @app.post("/api/queue")
    async def queue(request: Request) -> Any:
        worker.pause(bool((await _json(request)).get("paused")))
        return worker.facts()


def _learning(app: FastAPI, project: Project, worker: Worker, proposals: Proposals) -> None:
    @app.post("/api/relearn")
    def propose() -> Any:
        return proposals.make()

    @app.post("/api/relearn/accept")
    def take() -> Any:
        path = proposals.take()
        worker.add(list(project.inspected))
        return {"checkpoint": path.name, "path": showable(str(path))}


def _handing_over(app: FastAPI, project: Project) -> None:
    @app.post("/api/hand_over")
    async def make(request: Request) -> Any:
        facts = await _json(request)
        included, formats = str(facts.get("included"))[:40], facts.get("formats") or []
        if not isinstance(formats, list) or not all(isinstance(name, str) for name in formats):
            raise UserError("formats is no list of names")
        made = await anyio.to_thread.run_sync(lambda: hand_over(project, included=included, formats=formats))
        return {"name": made.archive.stem, "folder": showable(str(made.folder)), "counts": made.counts}

    @app.get("/api/handed_over/{name}.zip")
    def archive(name: str) -> Response:
        there = {path.stem: path for path in (project.folder / HANDED_OVER).glob("*.zip")}
        if name not in there or not is_own_file(there[name], project.folder):
            raise HTTPException(404, "nothing of that name was handed over")
        return FileResponse(there[name], filename=f"{project.folder.name}-{name}.zip")


async def _json(request: Request) -> dict[str, Any]:
    try:
        facts = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise UserError("the request is no JSON") from error
    if not isinstance(facts, dict):
        raise UserError("the request is no object")
    return facts


def _named(project: Project, facts: dict[str, Any]) -> dict[str, Any]:
    """With the name of the photograph, which a page that shows names does not know to the last byte."""
    key = facts.pop("key", "")
    return {**facts, "photograph": project.photograph(str(key)).name} if key else facts


def _number(facts: dict[str, Any], name: str) -> float:
    number = number_of(facts[name])
    if math.isnan(number):
        raise UserError(f"{name}={str(facts[name])[:20]!r} is no number")
    return number


def _blocking(stream: AsyncIterator[bytes]) -> Iterator[bytes]:
    """Chunks of a request, for a thread."""

    async def following() -> bytes | None:
        return await anext(stream, None)

    while (chunk := anyio.from_thread.run(following)) is not None:
        yield chunk
