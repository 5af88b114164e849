"""One world per module: a chDB folder takes a second to make."""

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from tests.api.session import session
from tests.api.worlds import World, world_in


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_in(tmp_path_factory.mktemp("world"), ttl_ms=3_600_000) as made:
        made.feed(session())
        yield made


@pytest.fixture
def client(world: World) -> Iterator[TestClient]:
    with TestClient(world.app, client=("127.0.0.1", 50_000)) as made:
        made.headers.update(world.headers("vera"))
        yield made
