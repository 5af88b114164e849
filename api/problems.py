"""Errors as RFC 9457 problem details: one form for everything that is not a success.

Invariant: every answer of 400 and above is ``application/problem+json`` with ``type``, ``title``, ``status`` and ``detail``; a
fault of ours says nothing of its insides. Rejected: FastAPI's own ``{"detail": …}`` (two forms, and clients guess which).
"""

import json
import logging
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from history.client import QueryError, StoreError

log = logging.getLogger("tidegate.api")

MEDIA_TYPE: Final = "application/problem+json"
_TITLES: Final = {
    400: "Bad request",
    401: "Not signed in",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    406: "Not acceptable",
    409: "Conflict",
    410: "Gone",
    413: "Too large",
    422: "Not understood",
    429: "Too many requests",
    500: "Internal error",
    503: "Not available",
}
_SLUGS: Final = {status: title.lower().replace(" ", "-") for status, title in _TITLES.items()}


class FieldFault(BaseModel):
    """One field that was not understood."""

    where: str = Field(description="Place in the request, for example `body.expires_in_s`.")
    what: str = Field(description="What is wrong with it.")


class Problem(BaseModel):
    """A problem (RFC 9457)."""

    type: str = Field(description="`urn:tidegate:problem:<word>`; the word is stable.")
    title: str
    status: int
    detail: str
    instance: str = Field(description="Path of the request.")
    errors: list[FieldFault] = Field(
        default_factory=list, description="Of 422: what was not understood, field by field."
    )


class ProblemError(Exception):
    """An answer that is no success.

    Attributes:
        status: HTTP status.
        detail: One sentence for a person.
        slug: Last word of the problem's type; ``None`` = that of the status.
        headers: More headers.
    """

    def __init__(
        self, status: int, detail: str, *, slug: str | None = None, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.slug = slug or _SLUGS.get(status, "error")
        self.headers = headers or {}


def problem_response(path: str, error: ProblemError, errors: list[dict[str, str]] | None = None) -> Response:
    """Return the answer for ``error``."""
    body: dict[str, Any] = {
        "type": f"urn:tidegate:problem:{error.slug}",
        "title": _TITLES.get(error.status, "Error"),
        "status": error.status,
        "detail": error.detail,
        "instance": path,
        "errors": errors or [],
    }
    return Response(json.dumps(body), error.status, {**error.headers, "Cache-Control": "no-store"}, MEDIA_TYPE)


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what OpenAPI says of these statuses; 401, 403, 422 and 429 are always among them."""
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {
        status: {"description": _TITLES[status], "content": {MEDIA_TYPE: schema}}
        for status in sorted({401, 403, 422, 429, *statuses})
    }


def install(app: FastAPI) -> None:
    """Give ``app`` its handlers."""

    @app.exception_handler(ProblemError)
    async def _problem(request: Request, error: ProblemError) -> Response:
        return problem_response(request.url.path, error)

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers or {})
        return problem_response(request.url.path, ProblemError(error.status_code, str(error.detail), headers=headers))

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> Response:
        faults = [{"where": ".".join(map(str, fault["loc"])), "what": str(fault["msg"])} for fault in error.errors()]
        detail = "; ".join(f"{fault['where']}: {fault['what']}" for fault in faults[:3])
        return problem_response(request.url.path, ProblemError(422, detail or "not understood"), faults)

    @app.exception_handler(StoreError)
    async def _store(request: Request, error: StoreError) -> Response:
        log.warning("history_unavailable path=%s detail=%s", request.url.path, error)
        gone = ProblemError(
            503, "the history does not answer", slug="history-unavailable", headers={"Retry-After": "2"}
        )
        return problem_response(request.url.path, gone)

    @app.exception_handler(QueryError)
    async def _query(request: Request, error: QueryError) -> Response:
        log.error("history_refused path=%s detail=%s", request.url.path, error)
        return problem_response(
            request.url.path, ProblemError(503, "the history refused the question", slug="history-refused")
        )

    @app.exception_handler(Exception)
    async def _fault(request: Request, error: Exception) -> Response:
        log.error("fault path=%s", request.url.path, exc_info=error)
        return problem_response(request.url.path, ProblemError(500, "a fault of ours; it was logged"))
