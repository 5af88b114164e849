"""Current state and history over HTTP, from encoded messages and a real chDB folder."""

import csv
import io
import json

import pyarrow as pa
import pytest
from starlette.testclient import TestClient

from tests.api.session import CRASH_S, ORDER_S, SECOND_NS, START_NS
from tests.api.worlds import World

ARROW = "application/vnd.apache.arrow.stream"


def test_instruments_are_listed_with_their_tier_and_name(client: TestClient) -> None:
    rows = client.get("/v1/instruments").json()["instruments"]
    assert [(row["symbol"], row["tier"]) for row in rows[:4]] == [
        ("ALFA", "CRITICAL"), ("BRVO", "NORMAL"), ("CHRL", "NORMAL"), ("DLTA", "NORMAL"),
    ]  # fmt: skip
    assert rows[0]["fresh"]
    assert rows[0]["halted"]


def test_current_state_says_tier_limits_expiry_and_causes(client: TestClient) -> None:
    now = client.get("/v1/risk/1").json()
    assert now["state"]["tier"] == "CRITICAL"
    assert now["state"]["latched"]
    assert now["limits"]["halted"]
    assert now["limits"]["because"] == "halted"
    assert now["limits"]["limits"]["max_order_qty"] == 0
    assert 0 < now["valid_for_ms"] <= 3_600_000
    assert [cause["name"] for cause in now["causes"]] == ["cancel_rate", "spread_bps", "depth_bid_5"]
    assert client.get("/v1/risk/2").json()["limits"] == {**client.get("/v1/risk/2").json()["limits"], "because": "tier"}


def test_unknown_instrument_is_a_problem_that_names_it(client: TestClient) -> None:
    answer = client.get("/v1/risk/99")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:tidegate:problem:not-found"
    assert "99" in answer.json()["detail"]


def test_same_answer_is_not_sent_twice_to_who_has_it(client: TestClient) -> None:
    first = client.get("/v1/limits/1")
    again = client.get("/v1/limits/1", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = client.get("/v1/limits/2", headers={"If-None-Match": first.headers["etag"]})
    assert other.status_code == 200


def test_limits_show_every_tier_and_the_stale_column(client: TestClient) -> None:
    limits = client.get("/v1/limits/1").json()
    assert [step["limits"]["max_order_qty"] for step in limits["steps"]] == [500, 250, 50, 0]
    assert [step["halt"] for step in limits["steps"]] == [False, False, False, True]
    assert limits["stale"]["max_order_qty"] == 50
    page = client.get("/v1/limits", params={"limit": 2}).json()
    assert [row["instrument_id"] for row in page["instruments"]] == [1, 2]
    assert (
        client.get("/v1/limits", params={"after": page["next"], "limit": 2}).json()["instruments"][0]["instrument_id"]
        == 3
    )


def test_history_of_the_crash_has_mid_score_steps_and_own_orders_on_one_axis(client: TestClient) -> None:
    found = client.get("/v1/risk/1/history", params={"points": 200}).json()
    assert found["first_ns"] == START_NS + SECOND_NS // 2
    assert len(found["market"]["ts_ns"]) <= 202
    assert min(found["market"]["mid_low"]) < 98.5
    assert max(found["market"]["mid_high"]) > 99.9
    assert sorted(set(found["scores"]["tier"])) == [0, 1, 2, 3]
    steps = dict(zip(found["scores"]["tier"], found["scores"]["max_order_qty"], strict=True))
    assert steps == {0: 500, 1: 250, 2: 50, 3: 0}
    by_order = {
        (order, enforcer): (verdict, ts_ns)
        for order, enforcer, verdict, ts_ns in zip(
            *(found["orders"][name] for name in ("order_id", "enforcer", "verdict", "ts_ns")), strict=True
        )
    }
    asked_ns = START_NS + ORDER_S * SECOND_NS + SECOND_NS // 2
    assert by_order["market-200", "gate"] == (
        "REJECT",
        asked_ns,
    )  # at the time of the order, not of the gate's own clock
    assert by_order["market-200", "enforce_orders"] == ("REJECT", asked_ns)
    assert by_order["limit-20", "gate"] == ("ACCEPT", asked_ns)


def test_thinned_history_still_shows_the_depth_of_the_crash(client: TestClient) -> None:
    whole = client.get("/v1/risk/1/history", params={"points": 1_000, "series": "market"}).json()["market"]
    thin = client.get("/v1/risk/1/history", params={"points": 5, "series": "market"}).json()["market"]
    assert len(thin["ts_ns"]) <= 6
    assert min(thin["mid_low"]) == min(whole["mid_low"])
    assert max(thin["spread_bps"]) == max(whole["spread_bps"])


@pytest.mark.parametrize("series", ["market", "scores", "orders"])
def test_history_as_arrow_and_csv_holds_the_same_rows_as_json(client: TestClient, series: str) -> None:
    path, params = "/v1/risk/1/history", {"series": series}
    columns = client.get(path, params=params).json()[series]
    columns.pop("max_order_qty", None)
    table = pa.ipc.open_stream(client.get(path, params=params, headers={"Accept": ARROW}).content).read_all()
    assert table.column("ts_ns").to_pylist() == columns["ts_ns"]
    assert table.num_rows > 0
    assert set(table.column_names) == set(columns)
    rows = list(csv.DictReader(io.StringIO(client.get(path, params=params, headers={"Accept": "text/csv"}).text)))
    assert [int(row["ts_ns"]) for row in rows] == columns["ts_ns"]


def test_bulk_of_three_series_at_once_is_refused(client: TestClient) -> None:
    assert client.get("/v1/risk/1/history", headers={"Accept": ARROW}).status_code == 422


def test_answer_in_a_form_that_nobody_speaks_is_refused(client: TestClient) -> None:
    assert client.get("/v1/alerts", headers={"Accept": "image/png"}).status_code == 406
    assert client.get("/v1/alerts", headers={"Accept": "image/png, */*;q=0.1"}).status_code == 200


def test_why_shows_the_normal_range_and_where_it_would_be_normal_again(client: TestClient) -> None:
    at_ns = START_NS + 150 * SECOND_NS
    why = client.get("/v1/risk/1/why", params={"at_ns": at_ns}).json()
    assert why["state"]["tier"] == "CRITICAL"
    spread = next(cause for cause in why["causes"] if cause["name"] == "spread_bps")
    assert 1.5 < spread["unit_low"] < spread["unit_mid"] < spread["unit_high"] < 2.5
    assert spread["back_to"] == spread["unit_high"] < spread["value"]
    assert spread["ticks"] > 100
    lefts = [cause["left_share"] for cause in why["causes"]]
    assert lefts == pytest.approx([0.59, 0.26, 0.12])
    calm = client.get("/v1/risk/1/why", params={"at_ns": START_NS + CRASH_S * SECOND_NS // 2}).json()
    assert calm["state"]["tier"] == "NORMAL"


def test_alerts_come_newest_first_in_pages_without_hole_or_repeat(client: TestClient) -> None:
    seen, cursor = [], None
    while True:
        page = client.get("/v1/alerts", params={"limit": 2, **({"cursor": cursor} if cursor else {})}).json()
        seen += page["alerts"]
        if (cursor := page["next"]) is None:
            break
    assert [alert["tier"] for alert in seen] == ["CRITICAL", "HIGH_ALERT", "ELEVATED"]
    assert client.get("/v1/alerts", params={"cursor": "no-cursor"}).status_code == 422
    assert client.get("/v1/alerts", params={"instrument_id": 2}).json()["alerts"] == []


def test_decisions_can_be_asked_for_by_verdict_and_order(client: TestClient) -> None:
    rejected = client.get("/v1/decisions", params={"verdict": "REJECT"}).json()["decisions"]
    assert {(row["order_id"], row["enforcer"], row["limit"], row["observed"]) for row in rejected} == {
        ("market-200", "gate", 50, 200), ("market-200", "enforce_orders", 50, 200),
    }  # fmt: skip
    assert len(client.get("/v1/decisions", params={"order_id": "limit-20"}).json()["decisions"]) == 2
    assert client.get("/v1/decisions", params={"order_id": "x' OR '1'='1"}).json()["decisions"] == []


def test_models_quality_and_systemic_answer(client: TestClient) -> None:
    models = client.get("/v1/models").json()
    assert models["models"][0]["model_id"] == "default-7"
    assert models["now"]["default-7"]["instruments"] == 4
    assert client.get("/v1/quality").json()["dead_letters"] == []
    (channel,) = client.get("/v1/systemic").json()["channels"]
    assert channel["tiers"] == {"NORMAL": 3, "ELEVATED": 0, "HIGH_ALERT": 0, "CRITICAL": 1}


def test_document_of_the_api_names_every_path(client: TestClient) -> None:
    paths = client.get("/v1/openapi.json").json()["paths"]
    assert {"/v1/instruments", "/v1/risk/{instrument_id}", "/v1/risk/{instrument_id}/history", "/v1/decisions", "/v1/alerts",
            "/v1/limits", "/v1/models", "/v1/quality", "/v1/commands", "/v1/commands/{proposal_id}/approve", "/v1/events"} <= set(
        paths
    )  # fmt: skip


def test_history_that_does_not_answer_is_said_and_current_state_goes_on(world: World, client: TestClient) -> None:
    path = world.folder / "history.owner.json"
    kept = path.read_text()
    path.unlink()
    try:
        gone = client.get("/v1/alerts")
        assert (gone.status_code, gone.json()["type"]) == (503, "urn:tidegate:problem:history-unavailable")
        assert client.get("/v1/risk/1").status_code == 200
    finally:
        path.write_text(kept)
    assert json.loads(kept)["interface"] == "chdb"
