"""Both gates, one after the other: what holds for the twin must hold for the native gate."""

from collections.abc import Iterator

import pytest

from gate.reference import Sizes
from tests.gate.gates import GRANT, OTHER, ROW, SMALL, Gate, NativeGate, TwinGate, grant

WIDE = Sizes(accounts=16, positions=1024, orders=1024)


@pytest.fixture(params=["twin", "native"])
def gate(request: pytest.FixtureRequest) -> Iterator[Gate]:
    """A gate where everything is allowed to two accounts in instrument 1."""
    made = _made(request.param, SMALL)
    made.put(ROW)
    made.grant(GRANT)
    made.grant(grant(account=OTHER))
    yield made
    made.close()


@pytest.fixture(params=["twin", "native"])
def wide_gate(request: pytest.FixtureRequest) -> Iterator[Gate]:
    """A gate with room for many instruments, and nothing in it."""
    made = _made(request.param, WIDE)
    yield made
    made.close()


def _made(kind: str, sizes: Sizes) -> Gate:
    return TwinGate(sizes) if kind == "twin" else NativeGate(sizes=sizes)
