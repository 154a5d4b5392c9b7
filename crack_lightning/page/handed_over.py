"""Answers requests for what is handed over: makes it, and shows the report and its pictures."""

from functools import partial
from typing import Any

import anyio
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import FileResponse

from crack_lightning.errors import UserError
from crack_lightning.page.guard import TOKEN_COOKIE
from crack_lightning.page.requests import json_of
from crack_lightning.page.worker import Worker
from crack_lightning.project.hand_over import form_from, hand_over
from crack_lightning.project.project import HANDED_OVER, PARTIAL_PREFIX, Project
from crack_lightning.report.templates import hash_of_script
from crack_lightning.system.files import is_own_file
from crack_lightning.system.names import showable

REPORT, LINKED_TYPES = "report.html", (".jpg", ".png", ".csv")  # and what it shows and links to
# The report runs its own script alone, whatever a stranger wrote into its folder.
REPORT_POLICY = (
    "default-src 'none'; script-src {script}; style-src 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)


def hand_over_routes(app: FastAPI, project: Project, worker: Worker) -> None:
    """Adds the routes to the app."""

    @app.post("/api/hand_over")
    async def make(request: Request) -> Any:
        facts = await json_of(request)
        included, formats = str(facts.get("included"))[:40], facts.get("formats") or []
        if not isinstance(formats, list) or not all(isinstance(name, str) for name in formats):
            raise UserError("formats must be a list of names")
        form = form_from(facts.get("form"))
        report = partial(worker.news.send, "handing_over")
        make_all = partial(hand_over, project, included=included, formats=formats, form=form, report=report)
        result = await anyio.to_thread.run_sync(make_all)
        return {"name": result.archive.stem, "folder": showable(str(result.folder)), "counts": result.counts}

    @app.get("/api/handed_over/{name}.zip")
    def archive(name: str) -> Response:
        archives = {path.stem: path for path in (project.folder / HANDED_OVER).glob("*.zip")}
        if name not in archives or not is_own_file(archives[name], project.folder):
            raise HTTPException(404, "nothing was handed over under that name")
        return FileResponse(archives[name], filename=f"{project.folder.name}-{name}.zip")

    @app.get("/api/handed_over/{name}/{path:path}")
    def shown(name: str, path: str, token: str = "") -> Response:
        """Answers the report, for the browser to print, its pictures and tables."""
        folders = {folder.name: folder for folder in (project.folder / HANDED_OVER).glob("*/")}
        file = folders.get(name, project.folder) / path
        is_ours = name in folders and not name.startswith(PARTIAL_PREFIX) and is_own_file(file, folders[name])
        if not is_ours or (path != REPORT and file.suffix not in LINKED_TYPES):
            raise HTTPException(404, "nothing was handed over under that name")
        if path != REPORT:
            return FileResponse(file)
        policy = REPORT_POLICY.format(script=hash_of_script("inspection.js"))
        response = FileResponse(file, headers={"content-security-policy": policy})
        if token:  # its pictures are asked for without one
            response.set_cookie(TOKEN_COOKIE, token, path=f"/api/handed_over/{name}/", httponly=True, samesite="strict")
        return response
