"""The application: routes, guards and console around the services."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

from api import problems
from api.guards import Guards
from api.routes import commands, events, past, risk
from api.services import Services
from api.timing import Timing
from schemas.exposition import ProcessMetrics

CONSOLE: Final = Path(__file__).parent / "console"
_ABOUT: Final = """Current state comes from the topics, in memory; history from the history's owner; commands of people are held
until a second person approves them. Times are ns since the epoch, UTC. Errors are problem details (RFC 9457)."""


def make_app(services: Services, metrics: ProcessMetrics | None = None) -> FastAPI:
    """Return the application; its hub runs from its start to its end, and requests are timed where ``metrics`` are given."""

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        flushing = asyncio.create_task(services.hub.run())
        try:
            yield
        finally:
            flushing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await flushing

    app = FastAPI(
        title="Tidegate", version="1", description=_ABOUT, lifespan=lifespan, openapi_url="/v1/openapi.json", docs_url=None,
        redoc_url=None,
    )  # fmt: skip
    app.state.services = services
    problems.install(app)
    for module in (risk, past, commands, events):
        app.include_router(module.router)
    if CONSOLE.is_dir():
        app.mount("/", StaticFiles(directory=CONSOLE, html=True), name="console")
    app.add_middleware(Guards, audit=services.audit, tls=bool(services.settings.tls_cert))
    if metrics is not None:
        app.add_middleware(Timing, metrics=metrics)
    _add_problem_schema(app)
    return app


def _add_problem_schema(app: FastAPI) -> None:
    """Publish the form of problems, which no route returns by name."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        document: dict[str, Any] = made()
        schema = problems.Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas.update(schema.pop("$defs", {}))
        schemas["Problem"] = schema
        for path in document["paths"].values():
            for operation in path.values():
                found = operation.get("responses", {}).get("422")
                if found and "application/json" in found.get("content", {}):
                    del found["content"]["application/json"]
        return document

    app.openapi = openapi  # type: ignore[method-assign]
