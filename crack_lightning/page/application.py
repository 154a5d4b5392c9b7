"""The routes of the page's server: each address, with the function that answers its requests."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import anyio
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse

from crack_lightning.corrections.correction import Correction
from crack_lightning.errors import UserError
from crack_lightning.page.handed_over import hand_over_routes
from crack_lightning.page.requests import answer_errors, json_of, number_in, with_photograph_name
from crack_lightning.page.views import Views, map_picture, place_facts, project_facts
from crack_lightning.page.worker import Worker
from crack_lightning.project.attention import are_found, places_to_look_at
from crack_lightning.project.correcting import correct
from crack_lightning.project.kept_pictures import tile
from crack_lightning.project.learned import go_back, take_over
from crack_lightning.project.marks import MIN_THRESHOLD
from crack_lightning.project.project import Project, key_of_name
from crack_lightning.project.requested import threshold_in
from crack_lightning.project.rows import row_facts
from crack_lightning.project.scale_choice import set_scale
from crack_lightning.project.site_photographs import add_source, take_back, take_out
from crack_lightning.project.uploads import check_size, receiving
from crack_lightning.runs.inspection.photograph_files import folder_of
from crack_lightning.system.files import is_own_file
from crack_lightning.system.names import showable

MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}
CACHE_HEADERS = {"cache-control": "private, max-age=86400"}  # for pictures, whose address changes with their content
MAX_PATH_LENGTH, MAX_SHORTEST_PX = 4096, 1e6
MAX_UPLOADS = 100  # at the same time
PICTURE_NAMES = ("photograph.jpg", "thumbnail.jpg", "overlay.png")


def application(project: Project, worker: Worker) -> FastAPI:
    """Returns the app that serves the page of a project."""
    app = FastAPI(title="crack_lightning", docs_url=None, redoc_url=None, openapi_url=None)
    answer_errors(app)
    _page_routes(app)
    views = Views()
    _view_routes(app, project, worker, views)
    _picture_routes(app, project)
    _correction_routes(app, project, worker, views)
    _learning_routes(app, project, worker)
    _photograph_routes(app, project, worker)
    _left_out_routes(app, project, worker)
    hand_over_routes(app, project, worker)
    return app


def _page_routes(app: FastAPI) -> None:
    contents = {path.name: path.read_bytes() for path in map(Path, _assets())}

    @app.get("/")
    def page() -> Response:
        return Response(contents["page.html"], media_type=MEDIA_TYPES[".html"])

    @app.get("/favicon.ico")
    def icon() -> Response:
        return Response(status_code=204)

    @app.get("/assets/{name}")
    def asset(name: str) -> Response:
        if name not in contents:
            raise HTTPException(404, "there is no such file")
        return Response(contents[name], media_type=MEDIA_TYPES[Path(name).suffix])


def _assets() -> Iterator[str]:
    for entry in files("crack_lightning.page").iterdir():
        if Path(entry.name).suffix in MEDIA_TYPES:
            yield str(entry)


def _view_routes(app: FastAPI, project: Project, worker: Worker, views: Views) -> None:
    # Large answers are JSON already: FastAPI would look at each of their values, which takes longer than all else.
    @app.get("/api/project")
    def overview() -> Response:
        return JSONResponse({**project_facts(project, worker.rows), "progress": worker.facts()})

    @app.get("/api/news")
    async def listen() -> Response:
        return StreamingResponse(worker.news.listen(), media_type="text/event-stream")

    @app.get("/api/photographs/{key}")
    def photograph(key: str, threshold: float | None = None, revision: str = "") -> Response:
        if threshold is not None and not MIN_THRESHOLD <= threshold <= 1 - MIN_THRESHOLD:
            raise UserError(f"threshold={threshold}: must be from {MIN_THRESHOLD:g} to {1 - MIN_THRESHOLD:g}")
        if project.is_stale(key):
            worker.add([key])
        worker.prioritise(key)
        facts = views.photograph(project, worker.rows, key, threshold, revision)
        if facts.get("computing") and threshold is not None:
            worker.measure(key, threshold)
        elif facts["cracks"] and not revision:
            worker.prepare(key)
        return JSONResponse(facts)

    @app.get("/api/places")
    def places() -> Any:
        pending = [key for key in list(project.inspected) if not are_found(project, key)]
        worker.follow(pending)
        return {"places": place_facts(project, places_to_look_at(project)), "pending": len(pending)}


def _picture_routes(app: FastAPI, project: Project) -> None:
    @app.get("/api/photographs/{key}/{name}")
    def picture(key: str, name: str) -> Response:
        if name == "map.png":
            project.photograph(key)
            return Response(map_picture(project, key), media_type="image/png", headers=CACHE_HEADERS)
        path = folder_of(project.folder, project.photograph(key)) / name
        if name not in PICTURE_NAMES or not is_own_file(path, project.folder):
            raise HTTPException(404, "there is no such picture yet")
        return FileResponse(path, headers=CACHE_HEADERS)

    @app.get("/api/photographs/{key}/tiles/{level}/{column}/{row}")
    def picture_tile(key: str, level: int, column: int, row: int) -> Response:
        path = project.photograph(key).path
        content = tile(path, level, column, row, megapixels=project.options.max_megapixels)
        return Response(content, media_type="image/jpeg", headers=CACHE_HEADERS)


def _correction_routes(app: FastAPI, project: Project, worker: Worker, views: Views) -> None:
    def recorded(write: Callable[[Project, Any], Sequence[Correction]], facts: Any) -> Any:
        return JSONResponse(_recorded(project, worker, views, write(project, facts), facts))

    @app.post("/api/corrections")
    async def correction(request: Request) -> Any:
        facts = with_photograph_name(project, await json_of(request))
        return await anyio.to_thread.run_sync(recorded, correct, facts)

    @app.post("/api/scale")
    async def scale(request: Request) -> Any:
        facts = with_photograph_name(project, await json_of(request))
        return await anyio.to_thread.run_sync(recorded, lambda *given: [set_scale(*given)], facts)

    @app.post("/api/settings")
    async def settings(request: Request) -> Any:
        facts = await json_of(request)
        changes = {name: number_in(facts, name) for name in ("threshold", "shortest_px") if name in facts}
        low, high = MIN_THRESHOLD, 1 - MIN_THRESHOLD
        if not low <= changes.get("threshold", 0.5) <= high:
            raise UserError(f"threshold={changes['threshold']:g}: must be from {low:g} to {high:g}")
        if not 0 <= changes.get("shortest_px", 0) < MAX_SHORTEST_PX:
            raise UserError(f"shortest_px={changes['shortest_px']:g}: must be 0 or more, and below {MAX_SHORTEST_PX:g}")
        before = project.settings.threshold
        await anyio.to_thread.run_sync(lambda: project.set(**changes))
        worker.news.send("settings", **changes)
        if project.settings.threshold != before:
            worker.reinspect(first=str(facts.get("key") or ""))
        worker.follow_all()
        return changes


def _recorded(
    project: Project, worker: Worker, views: Views, corrections: Sequence[Correction], facts: Mapping[str, Any]
) -> dict[str, Any]:
    """Tells all windows of corrections that a request with these `facts` made.

    Returns the photograph that changed, as a window which knows its `revision` has to change the view.
    """
    first = corrections[0] if corrections[0].of is None else project.journal.numbered(corrections[0].of)
    key, row = key_of_name(first.photograph or str(facts.get("photograph") or "")), None
    result: dict[str, Any] = {"number": corrections[0].number, "count": len(corrections)}
    if key in project.photographs:
        known = str(facts.get("revision") or "") if key == facts.get("key") else ""
        shown = views.photograph(project, worker.rows, key, threshold_in(project, facts), known)
        result |= {"key": key, "photograph": shown}
        worker.follow([key])
        worker.write_row(key)
        row = row_facts(project, worker.rows, key)
    window, for_all = str(facts.get("window") or "")[:40], first.kind == "scale" and not first.photograph
    worker.news.send("correction", number=result["number"], window=window, row=row, all=for_all)
    return result


def _learning_routes(app: FastAPI, project: Project, worker: Worker) -> None:
    @app.get("/api/learning")
    def look() -> Any:
        """Starts to find out what taking over would change; the news say what."""
        worker.propose()
        return {"taken_over": len(project.settings.learned)}

    @app.post("/api/learning")
    async def change(request: Request) -> Any:
        facts = await json_of(request)
        action = {"take_over": take_over, "go_back": go_back}.get(str(facts.get("action")))
        if action is None:
            raise UserError("action must be take_over or go_back")
        await anyio.to_thread.run_sync(action, project)
        worker.follow_all()
        worker.news.send("learned", count=len(project.settings.learned))
        return {"taken_over": len(project.settings.learned)}


def _photograph_routes(app: FastAPI, project: Project, worker: Worker) -> None:
    upload_slots = anyio.CapacityLimiter(MAX_UPLOADS)

    @app.post("/api/sources")
    async def source(request: Request) -> Any:
        facts = await json_of(request)
        path = facts.get("path") or ""
        if not isinstance(path, str) or len(path) > MAX_PATH_LENGTH or "\0" in path:
            raise UserError(f"path must be a text of at most {MAX_PATH_LENGTH} characters")
        return worker.announce(await anyio.to_thread.run_sync(add_source, project, path))

    @app.put("/api/uploads")
    async def upload(request: Request, name: str) -> Any:
        check_size(project, name, int(request.headers.get("content-length") or 0))  # before its content is read
        if upload_slots.available_tokens < 1:
            raise HTTPException(503, f"{MAX_UPLOADS} photographs are being uploaded already: send this one again later")
        async with upload_slots:
            with receiving(project, name[:MAX_PATH_LENGTH]) as photograph:
                async for chunk in request.stream():  # in the event loop: a stalled upload would block a thread
                    photograph.write(chunk)
                before = set(project.photographs)
                key = await anyio.to_thread.run_sync(photograph.keep)
                return {**worker.announce([key]), "added": key not in before}

    @app.post("/api/queue")
    async def queue(request: Request) -> Any:
        worker.set_paused(bool((await json_of(request)).get("paused")))
        return worker.facts()


def _left_out_routes(app: FastAPI, project: Project, worker: Worker) -> None:
    @app.post("/api/left_out")
    async def leave_out(request: Request) -> Any:
        facts = with_photograph_name(project, await json_of(request))
        action = take_back if facts.get("back") else take_out
        name = str(facts.get("photograph") or facts.get("name") or "")
        keys = await anyio.to_thread.run_sync(action, project, name)
        if facts.get("back"):
            worker.announce(keys)
        else:
            for key in keys:
                worker.rows.forget(key)
            worker.news.send("left_out", keys=keys)
        return {"left_out": [showable(left) for left in project.settings.left_out]}
