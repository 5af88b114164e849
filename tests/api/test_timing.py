"""Requests are timed by the template of their route, whatever was asked for, and a stream by its head."""

import asyncio
from collections.abc import AsyncIterator

from fastapi import FastAPI
from starlette.responses import StreamingResponse
from starlette.types import Message

from api.timing import Timing
from schemas.exposition import ProcessMetrics


def made() -> tuple[Timing, ProcessMetrics]:
    app, told = FastAPI(), ProcessMetrics("api")

    @app.get("/v1/risk/{instrument}")
    async def risk(instrument: int) -> int:
        return instrument

    @app.get("/v1/events")
    async def events() -> StreamingResponse:
        async def slow() -> AsyncIterator[str]:
            yield "data: 1\n\n"
            await asyncio.sleep(0.6)

        return StreamingResponse(slow(), media_type="text/event-stream")

    return Timing(app, told), told


def ask(app: Timing, path: str, method: str = "GET") -> None:
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "path": path, "root_path": "",
        "raw_path": path.encode(), "query_string": b"", "headers": [], "client": ("127.0.0.1", 1), "server": ("t", 80),
        "scheme": "http",
    }  # fmt: skip

    async def receive() -> Message:
        await asyncio.sleep(5)
        return {"type": "http.disconnect"}

    async def send(_message: Message) -> None:
        await asyncio.sleep(0)

    asyncio.run(app(scope, receive, send))


def test_many_paths_of_one_route_are_one_series() -> None:
    app, told = made()
    for number in (7, 8, 9):
        ask(app, f"/v1/risk/{number}")
    text = told.text()
    assert 'tidegate_api_request_seconds_count{method="GET",route="/v1/risk/{instrument}",status="200"} 3.0' in text
    assert "/v1/risk/7" not in text


def test_paths_and_methods_that_nobody_knows_make_no_series_of_their_own() -> None:
    app, told = made()
    for path, method in (("/nowhere/1", "GET"), ("/nowhere/2", "BREW"), ("/nowhere/3", "STEEP")):
        ask(app, path, method)
    text = told.text()
    assert 'count{method="GET",route="other",status="404"} 1.0' in text
    assert 'count{method="other",route="other",status="404"} 2.0' in text
    assert "nowhere" not in text


def test_a_stream_is_timed_to_its_head() -> None:
    app, told = made()
    ask(app, "/v1/events")
    assert 'bucket{le="0.5",method="GET",route="/v1/events",status="200"} 1.0' in told.text()
