"""One history through both enforcers: equal decisions and positions, whatever the interleaving, also when one is killed."""

from typing import Any

import pytest

from benchmarks.verify_enforcers import Comparison
from schemas.orders import FactKind


@pytest.mark.parametrize("seed", [1, 2])
def test_gate_and_enforcer_give_equal_decisions_on_the_same_history(seed: int) -> None:
    comparison = Comparison(seed)
    comparison.run(1_200)
    assert comparison.orders == 1_200
    assert comparison.different == []
    reasons = {"ok", "self_match", "max_order_size", "parent_qty", "reduce_only", "session_rate"}
    assert {*reasons, "session_down", "day_loss"} <= set(comparison.reasons)
    assert set(comparison.facts) == set(FactKind)
    assert comparison.counters()["repeated_facts"] > 0
    assert comparison.counters()["out_of_order"] == 0


@pytest.mark.parametrize("kind", [FactKind.DAY_STARTED, FactKind.SESSION_LOST, FactKind.POSITION_SET])
def test_enforcers_would_differ_if_facts_of_a_kind_were_not_told(kind: FactKind) -> None:
    class Silent(Comparison):
        def _send(self, record: Any, decision: Any) -> None:
            if getattr(record, "kind", None) is not kind:
                super()._send(record, decision)

    comparison = Silent(1)
    comparison.run(400)
    assert comparison.different


def test_session_that_accounts_share_slows_them_alike_when_messages_come_in_the_order_of_sending() -> None:
    comparison = Comparison(6, restart_every=41, is_shared=True)
    comparison.run(400)
    assert comparison.different == []
    assert comparison.reasons["session_rate"] > 10


@pytest.mark.slow
@pytest.mark.parametrize("every", [1, 7])
def test_enforcer_that_is_killed_again_and_again_still_gives_equal_decisions(every: int) -> None:
    comparison = Comparison(3, restart_every=every)
    comparison.run(60 * every if every == 1 else 300)
    assert comparison.different == []
    assert comparison.reasons["ok"] > 5


@pytest.mark.slow
def test_limit_of_the_firm_binds_accounts_alike_when_messages_come_in_the_order_of_sending() -> None:
    comparison = Comparison(5, restart_every=97, firm_value=2 * 10**10)
    comparison.run(1_200)
    assert comparison.different == []
    assert comparison.reasons["firm_value"] > 10
