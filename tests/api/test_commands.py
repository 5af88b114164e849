"""Commands: two people, once, durable, audited."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from api import audit
from api.routes.commands import send_what_was_left
from schemas.records import CommandKind
from tests.api.session import session
from tests.api.worlds import World, world_in

RELEASE = {"kind": "RELEASE", "scope": "instrument:1", "reason": "book is deep again", "valid_s": 60}
KILL = {"kind": "KILL", "scope": "firm", "reason": "runaway strategy", "emergency": True}
FAR = 2**62


@pytest.fixture
def office(tmp_path: Path) -> Iterator[World]:
    with world_in(tmp_path / "w", history=False, clock="event") as made:
        made.feed(session(seconds=3))
        yield made


def test_release_is_published_once_a_second_person_approved_it(office: World) -> None:
    with TestClient(office.app) as http:
        made = http.post("/v1/commands", json=RELEASE, headers=office.headers("max"))
        assert made.status_code == 202
        assert made.json()["status"] == "OPEN"
        assert office.published == []
        path = made.headers["location"]
        done = http.post(f"{path}/approve", json={"note": "seen the book"}, headers=office.headers("cleo"))
        assert done.json()["status"] == "SENT"
        (command,) = office.published
        assert (command.kind, command.maker, command.checker) == (CommandKind.RELEASE, "max", "cleo")
        assert command.command_id == made.json()["proposal_id"]
        assert command.ts_ns == office.services.view.market_ns()
        assert command.expires_ns == command.ts_ns + 60 * 10**9
        again = http.post(f"{path}/approve", json={}, headers=office.headers("both"))
        assert (again.status_code, again.json()["type"]) == (409, "urn:tidegate:problem:decided")
        assert len(office.published) == 1


@pytest.mark.parametrize("checker", ["both", "Both"])
def test_nobody_approves_what_he_proposed_himself_under_any_spelling(office: World, checker: str) -> None:
    with TestClient(office.app) as http:
        made = http.post("/v1/commands", json=RELEASE, headers=office.headers("both"))
        own = http.post(f"{made.headers['location']}/approve", json={}, headers=office.headers(checker))
        assert (own.status_code, own.json()["type"]) == (403, "urn:tidegate:problem:same-person")
    assert office.published == []


def test_identity_in_the_body_is_refused_not_believed(office: World) -> None:
    with TestClient(office.app) as http:
        forged = http.post("/v1/commands", json={**RELEASE, "maker": "cleo"}, headers=office.headers("max"))
        assert forged.status_code == 422


@pytest.mark.parametrize(
    ("who", "path", "status"),
    [
        (None, "/v1/commands", 401),
        ("vera", "/v1/commands", 403),
        ("cleo", "/v1/commands", 403),
        ("max", "/v1/commands/0123456789abcdef0123456789abcdef/approve", 403),
    ],
)
def test_role_that_is_missing_is_refused(office: World, who: str | None, path: str, status: int) -> None:
    body: dict[str, Any] = {} if path.endswith("approve") else RELEASE
    with TestClient(office.app) as http:
        answer = http.post(path, json=body, headers=office.headers(who) if who else {})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_emergency_kill_of_one_person_goes_at_once_and_shows_in_the_limits(office: World) -> None:
    with TestClient(office.app) as http:
        made = http.post("/v1/commands", json=KILL, headers=office.headers("max"))
        assert (made.status_code, made.json()["status"], made.json()["emergency"]) == (202, "SENT", True)
        (command,) = office.published
        assert (command.kind, command.checker) == (CommandKind.KILL, None)
        now = http.get("/v1/risk/2", headers=office.headers("vera")).json()
        assert (now["limits"]["because"], now["limits"]["halted"]) == ("killed", True)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "RELEASE", "emergency": True},
        {"scope": "firm"},
        {"scope": "instrument:0"},
        {"scope": "instrument:9999999999"},
        {"valid_s": None},
        {"expires_ns": 5},
        {"reason": "  "},
        {"envelope": {"limits": {}, "stale_limits": {}, "tiers": []}},
        {"qty": 5},
        {"kind": "SET_ENVELOPE"},
        {"kind": "NO_SUCH"},
        {"valid_s": 0},
    ],
)
def test_command_that_makes_no_sense_is_refused_before_it_is_kept(office: World, change: dict[str, Any]) -> None:
    with TestClient(office.app) as http:
        answer = http.post("/v1/commands", json={**RELEASE, **change}, headers=office.headers("max"))
        assert answer.status_code == 422, answer.text
        assert http.get("/v1/commands", headers=office.headers("vera")).json()["commands"] == []


def test_envelope_change_carries_the_whole_envelope(office: World) -> None:
    limits = {"max_order_qty": 300, "max_order_value": 10**12, "max_long": 5_000, "max_short": 5_000, "price_band_bps": 400,
              "price_band_ticks": 900, "period_band_bps": 400, "quote_offset_bps": 0}  # fmt: skip
    rule = {"qty_permille": 1000, "band_permille": 1000, "halt": False, "value_permille": 1000, "position_permille": 1000,
            "rate_permille": 1000, "margin_permille": 1000, "quote_offset_bps": 0}  # fmt: skip
    tiers = [{"tier": tier, **rule} for tier in ("NORMAL", "ELEVATED", "HIGH_ALERT", "CRITICAL")]
    body = {"kind": "SET_ENVELOPE", "scope": "instrument:1", "reason": "quarterly review", "valid_s": 86_400,
            "envelope": {"limits": limits, "stale_limits": limits, "tiers": tiers, "tick_size": 10**7}}  # fmt: skip
    with TestClient(office.app) as http:
        path = http.post("/v1/commands", json=body, headers=office.headers("max")).headers["location"]
        http.post(f"{path}/approve", json={}, headers=office.headers("cleo"))
        (command,) = office.published
        assert command.envelope is not None
        assert command.envelope.limits.max_order_qty == 300
        office.feed(list(session(seconds=5, with_grants=False))[-20:])
        shown = http.get("/v1/limits/1", headers=office.headers("vera")).json()
        assert shown["envelope"]["max_order_qty"] == 300


def test_model_switch_needs_two_people_an_end_and_a_number(office: World) -> None:
    body = {
        "kind": "LOAD_MODEL",
        "scope": "firm",
        "reason": "signed off",
        "valid_s": 600,
        "model": "eq-2026-11",
        "model_epoch": 2,
    }
    with TestClient(office.app) as http:
        for wrong in (
            {"model": None},
            {"model_epoch": None},
            {"model": "../etc"},
            {"valid_s": None},
            {"emergency": True},
        ):
            assert http.post("/v1/commands", json={**body, **wrong}, headers=office.headers("max")).status_code == 422
        path = http.post("/v1/commands", json=body, headers=office.headers("max")).headers["location"]
        http.post(f"{path}/approve", json={}, headers=office.headers("cleo"))
        (command,) = office.published
        assert (command.kind, command.model, command.model_epoch) == (CommandKind.LOAD_MODEL, "eq-2026-11", 2)


def test_request_sent_twice_under_one_key_is_one_proposal(office: World) -> None:
    with TestClient(office.app) as http:
        headers = {**office.headers("max"), "Idempotency-Key": "k1"}
        first, again = (http.post("/v1/commands", json=RELEASE, headers=headers) for _ in range(2))
        assert first.json()["proposal_id"] == again.json()["proposal_id"]
        other = http.post("/v1/commands", json={**RELEASE, "scope": "instrument:2"}, headers=headers)
        assert (other.status_code, other.json()["type"]) == (409, "urn:tidegate:problem:key-reused")


def test_refused_and_withdrawn_proposals_are_never_published(office: World) -> None:
    with TestClient(office.app) as http:
        paths = [
            http.post("/v1/commands", json=RELEASE, headers=office.headers("max")).headers["location"] for _ in range(2)
        ]
        refused = http.post(f"{paths[0]}/refuse", json={"note": "too early"}, headers=office.headers("cleo")).json()
        assert (refused["status"], refused["decided_by"], refused["note"]) == ("REFUSED", "cleo", "too early")
        assert http.post(f"{paths[1]}/withdraw", json={}, headers=office.headers("both")).status_code == 403
        withdrawn = http.post(f"{paths[1]}/withdraw", json={}, headers=office.headers("max")).json()
        assert withdrawn["status"] == "WITHDRAWN"
        assert http.post(f"{paths[1]}/approve", json={}, headers=office.headers("cleo")).status_code == 409
    assert office.published == []


def test_proposal_outlives_a_restart_and_lapses_in_time(tmp_path: Path) -> None:
    with world_in(tmp_path, history=False) as before, TestClient(before.app) as http:
        path = http.post("/v1/commands", json=RELEASE, headers=before.headers("max")).headers["location"]
    with world_in(tmp_path, history=False) as after, TestClient(after.app) as http:
        assert http.get(path, headers=after.headers("vera")).json()["status"] == "OPEN"
        assert http.post(f"{path}/approve", json={}, headers=after.headers("cleo")).json()["status"] == "SENT"
    with world_in(tmp_path / "short", history=False, proposal_ttl_s=1) as short, TestClient(short.app) as http:
        made = http.post("/v1/commands", json=RELEASE, headers=short.headers("max")).json()
        proposal = short.services.proposals.get(made["proposal_id"])
        assert [p.status.value for p in short.services.proposals.listed(proposal.lapses_ns, status=None, limit=5)] == [
            "LAPSED"
        ]


def test_decision_that_the_broker_did_not_take_is_published_after_a_restart_under_the_same_id(tmp_path: Path) -> None:
    with world_in(tmp_path, history=False) as before, TestClient(before.app) as http:
        before.broker_answers = False
        made = http.post("/v1/commands", json=RELEASE, headers=before.headers("max")).json()
        late = http.post(f"/v1/commands/{made['proposal_id']}/approve", json={}, headers=before.headers("cleo"))
        assert (late.status_code, late.json()["type"]) == (503, "urn:tidegate:problem:not-published-yet")
    with world_in(tmp_path, history=False) as after:
        assert send_what_was_left(after.services, FAR) == 1
        (command,) = after.published
        assert (command.command_id, command.checker) == (made["proposal_id"], "cleo")
        assert send_what_was_left(after.services, FAR) == 0


def test_every_attempt_is_in_the_audit_log_with_its_end(office: World) -> None:
    with TestClient(office.app) as http:
        http.post("/v1/commands", json=RELEASE)
        http.post("/v1/commands", json=RELEASE, headers={"Authorization": "Bearer tg_00000000_" + "x" * 40})
        http.post("/v1/commands", content=b"{not json", headers=office.headers("max"))
        path = http.post("/v1/commands", json=RELEASE, headers=office.headers("max")).headers["location"]
        http.post(f"{path}/approve", json={}, headers=office.headers("cleo"))
    entries = list(audit.read(office.folder / "audit.jsonl"))
    ends = [entry for entry in entries if entry["what"] == "outcome"]
    assert [end["http_status"] for end in ends] == [401, 401, 422, 202, 200]
    assert [end["identity"] for end in ends] == [None, None, "max", "max", "cleo"]
    assert len(entries) == 10
    text = (office.folder / "audit.jsonl").read_text()
    assert not any(token in text for token in office.tokens.values())


def test_audit_log_that_was_changed_is_seen(office: World, tmp_path: Path) -> None:
    with TestClient(office.app) as http:
        for _ in range(2):
            http.post("/v1/commands", json=RELEASE, headers=office.headers("max"))
    lines = (office.folder / "audit.jsonl").read_text().splitlines(keepends=True)
    changed = tmp_path / "changed.jsonl"
    changed.write_text("".join([lines[0].replace("book is deep", "book is thin"), *lines[1:]]))
    with pytest.raises(audit.AuditError, match=r"changed\.jsonl:2"):
        list(audit.read(changed))
    assert len([json.loads(line) for line in lines]) == 4


def test_command_is_not_taken_when_the_audit_log_cannot_be_written(office: World) -> None:
    with TestClient(office.app) as http:
        office.services.audit.close()
        answer = http.post("/v1/commands", json=KILL, headers=office.headers("max"))
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:tidegate:problem:no-audit")
        assert office.published == []
        office.services.audit.__init__(office.folder / "audit.jsonl")  # type: ignore[misc]


def test_too_many_commands_have_to_wait(tmp_path: Path) -> None:
    with world_in(tmp_path, history=False, commands_per_min=3) as office, TestClient(office.app) as http:
        answers = [http.post("/v1/commands", json=RELEASE, headers=office.headers("max")) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [202, 202, 202, 429]
        assert int(answers[-1].headers["retry-after"]) > 0
        assert http.get("/v1/commands", headers=office.headers("max")).status_code == 200


def test_body_that_is_too_long_is_refused(office: World) -> None:
    with TestClient(office.app) as http:
        assert http.post("/v1/commands", content=b"x" * 70_000, headers=office.headers("max")).status_code == 413
