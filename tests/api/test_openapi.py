"""The published document and the service say the same: schemathesis asks what the document allows, and what it does not."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.result import Ok
from starlette.testclient import TestClient

from tests.api.worlds import World

pytestmark = pytest.mark.slow

PATHS = (
    "/v1/instruments", "/v1/risk/{instrument_id}", "/v1/risk/{instrument_id}/history", "/v1/risk/{instrument_id}/why", "/v1/limits",
    "/v1/limits/{instrument_id}", "/v1/systemic", "/v1/alerts", "/v1/decisions", "/v1/models", "/v1/quality", "/v1/me",
    "/v1/health", "/v1/commands", "/v1/commands/{proposal_id}", "/v1/commands/{proposal_id}/approve",
    "/v1/commands/{proposal_id}/refuse", "/v1/commands/{proposal_id}/withdraw",
)  # fmt: skip
HELD = ("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance",
        "response_headers_conformance", "negative_data_rejection", "unsupported_method")  # fmt: skip
EXAMPLES = 15


def test_every_path_but_the_stream_is_asked(client: TestClient) -> None:
    paths = set(client.get("/v1/openapi.json").json()["paths"])
    assert paths - {"/v1/events"} == set(PATHS)


def test_every_path_but_the_health_needs_a_token(world: World) -> None:
    with TestClient(world.app) as http:
        for path, operations in http.get("/v1/openapi.json").json()["paths"].items():
            for method in operations:
                answer = http.request(method, path.format(instrument_id=1, proposal_id="0" * 32), json={})
                assert answer.status_code == (200 if path == "/v1/health" else 401), (method, path)


@pytest.mark.parametrize("path", PATHS)
def test_service_does_what_its_document_says(world: World, path: str) -> None:
    load_all_checks()
    checks: Any = CHECKS.get_by_names(HELD)
    everybody = {**world.headers("both")}
    schema = schemathesis.openapi.from_asgi("/v1/openapi.json", world.app).include(path=path)
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        for mode in GenerationMode.POSITIVE, GenerationMode.NEGATIVE:

            @settings(
                max_examples=EXAMPLES,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                derandomize=True,
                database=None,
            )
            @given(operation.as_strategy(generation_mode=mode))
            def holds(case: Case[Any]) -> None:
                case.call_and_validate(headers=everybody, checks=checks)

            try:
                holds()
            except Unsatisfiable:
                assert mode is GenerationMode.NEGATIVE  # nothing of this path can be wrong
