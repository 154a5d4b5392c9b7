"""Reads the content of requests, and answers errors as JSON."""

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

INTERNAL_ERROR = "something went wrong, and it is our fault: see the log of the server"


def answer_errors(app: FastAPI) -> None:
    """Makes the app answer every error as JSON, with a message for the user."""

    async def answer(request: Request, error: Exception) -> Response:
        if isinstance(error, RequestValidationError):
            names = {str(fault["loc"][-1]) for fault in error.errors()}
            return JSONResponse({"error": f"{', '.join(sorted(names))}: missing, or of the wrong type"}, 422)
        if isinstance(error, ClientDisconnect):
            return JSONResponse({"error": "the client disconnected before the request was complete"}, 400)
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

    for error_type in (ClientDisconnect, RequestValidationError, StarletteError, UserError, OSError, Exception):
        app.add_exception_handler(error_type, answer)


async def json_of(request: Request) -> dict[str, Any]:
    """Returns the JSON object in a request's body. Raises UserError where the body is not one."""
    try:
        facts = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise UserError("the request is not JSON") from error
    if not isinstance(facts, dict):
        raise UserError("the request is not a JSON object")
    return facts


def with_photograph_name(project: Project, facts: Mapping[str, object]) -> dict[str, Any]:
    """Returns `facts` with the name of the photograph with their `key`, whose exact bytes the page does not know."""
    key = str(facts.get("key") or "")
    return {**facts, "photograph": project.photograph(key).name} if key else dict(facts)


def number_in(facts: Mapping[str, object], name: str) -> float:
    """Returns the number `name` in `facts`. Raises UserError where it is not a number."""
    number = number_of(facts[name])
    if math.isnan(number):
        raise UserError(f"{name}={str(facts[name])[:20]!r} is not a number")
    return number
