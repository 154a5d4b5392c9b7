"""Reads what a request holds, and answers where something is wrong with it."""

import json
import logging
import math
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as StarletteError
from starlette.requests import ClientDisconnect

from crack_lightning.errors import UserError
from crack_lightning.project.project import Project
from crack_lightning.system.files import is_full
from crack_lightning.system.names import showable
from crack_lightning.system.ranges import number_of

log = logging.getLogger(__name__)

INTERNAL_ERROR = "something went wrong that is our fault: see the log of the server"


def answer_errors(app: FastAPI) -> None:
    """Makes the app answer every error as JSON, in words of our own."""

    async def answer(request: Request, error: Exception) -> Response:
        if isinstance(error, RequestValidationError):
            places = {str(fault["loc"][-1]) for fault in error.errors()}
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
        return JSONResponse({"error": INTERNAL_ERROR}, 500)

    for kind in (ClientDisconnect, RequestValidationError, StarletteError, UserError, OSError, Exception):
        app.add_exception_handler(kind, answer)


async def json_of(request: Request) -> dict[str, Any]:
    """Returns the object that a request holds. Raises UserError where it does not hold one."""
    try:
        facts = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise UserError("the request is not JSON") from error
    if not isinstance(facts, dict):
        raise UserError("the request is not an object")
    return facts


def named(project: Project, facts: Mapping[str, object]) -> dict[str, Any]:
    """Returns `facts` with the photograph's name for its key: a page does not know names to the last byte."""
    kept = {name: value for name, value in facts.items() if name != "key"}
    key = str(facts.get("key") or "")
    return kept | {"photograph": project.photograph(key).name} if key else kept


def number_in(facts: Mapping[str, object], name: str) -> float:
    """Returns a number of `facts` by its name. Raises UserError where it is not a number."""
    number = number_of(facts[name])
    if math.isnan(number):
        raise UserError(f"{name}={str(facts[name])[:20]!r} is not a number")
    return number
