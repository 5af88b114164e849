"""How long requests take, by route: the outermost layer of the application. Pure ASGI.

Invariant: a route is named by its template (``/v1/risk/{instrument}``), never by what was asked for, so whoever asks for a
million paths makes no million series. What is timed is the head of the answer: a stream of events lasts for hours by design.
"""

import time
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from schemas.exposition import ProcessMetrics
from schemas.metrics import API_REQUEST

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Timing:
    """Wraps the application."""

    def __init__(self, app: ASGIApp, metrics: ProcessMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began_s = time.perf_counter()

        async def timed(message: Message) -> None:
            if message["type"] == "http.response.start":
                method = scope["method"] if scope["method"] in METHODS else "other"
                spent_s = time.perf_counter() - began_s
                self._metrics.observe(API_REQUEST, spent_s, _route(scope), method, str(message["status"]))
            await send(message)

        await self._app(scope, receive, timed)


def _route(scope: Scope) -> str:
    """Return the template that was matched; what no route of ours took is the console's, or nobody's."""
    return str(getattr(scope.get("route"), "path", "")) or "other"
