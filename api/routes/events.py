"""Server-sent events: what changes, ten times a second; alerts, decisions and commands once each, resumed by id."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import StreamingResponse

from api.identity import Role
from api.live.hub import KINDS
from api.live.journal import BadEventIdError, Entry
from api.problems import ProblemError, responses
from api.services import Viewer, services_of
from api.shapes import INT64_MAX

router = APIRouter(prefix="/v1", tags=["events"])
Kind = Literal["states", "alert", "decision", "command", "proposals", "health"]
assert set(Kind.__args__) == set(KINDS), "a kind of event is not published"  # type: ignore[attr-defined]

_DESCRIPTION = """`columns` first: the columns of `states`. Then `states` (newest rows of what changed, at most ten times a
second), `alert`, `decision` and `command` (one each, with ids), `proposals` (something changed: ask `/v1/commands`), `health`
(each second), and `reset` where a resumed stream could not be completed: ask the lists for what is missing."""


class Wanted(BaseModel):
    """What to hear."""

    model_config = ConfigDict(extra="forbid")

    kinds: list[Kind] = Field(default=list(KINDS), max_length=6)
    instrument_id: int | None = Field(None, ge=1, le=2**32 - 1, description="Of this instrument alone.")
    replay: int = Field(
        0, ge=0, le=10_000, description="Without an id: so many of the newest events of each kind first."
    )


_STREAM: Any = {"description": _DESCRIPTION, "content": {"text/event-stream": {"schema": {"type": "string"}}}}


@router.get("/events", response_class=StreamingResponse, responses={200: _STREAM, **responses(503)})
async def events(
    request: Request,
    *,
    _viewer: Viewer,
    wanted: Annotated[Wanted, Query()],
    last_event_id: Annotated[str | None, Header(max_length=4_000)] = None,
) -> StreamingResponse:
    """Subscribe."""
    services = services_of(request)
    hub = services.hub
    if len(hub) >= services.settings.streams_max:
        raise ProblemError(503, "too many streams are open", slug="too-many-streams", headers={"Retry-After": "10"})
    kinds = frozenset(wanted.kinds or KINDS)
    missed: list[Entry] = hub.journal.newest(wanted.replay, kinds)
    is_whole = True
    if last_event_id:
        try:
            missed, is_whole = hub.journal.since(last_event_id)
        except BadEventIdError as error:
            raise ProblemError(422, str(error), slug="bad-event-id") from error
    subscriber = hub.subscribe(kinds, wanted.instrument_id, missed)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(hub.stream(subscriber, is_whole=is_whole), media_type="text/event-stream", headers=headers)


@router.get("/me", responses=responses(), tags=["events"])
async def me(viewer: Viewer) -> dict[str, object]:
    """Return who asks, and what he may do."""
    return {"name": viewer.name, "roles": [role.value for role in Role if viewer.may(role)]}


@router.get("/health", responses={}, tags=["events"])
async def health(request: Request) -> dict[str, object]:
    """Return whether the topics are read and how many streams are open; needs no token, and tells no market data."""
    found = services_of(request).health()
    return {
        "ready": bool(found["feed"]["caught_up"]),
        "feed": found["feed"],
        "streams": min(found["streams"], INT64_MAX),
    }
