"""The plan: costs fitted to runs, the smallest deployment that carries a question, and the prediction against a measured run."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.cli import main
from deploy.local.flink import repository
from deploy.planning.capacity import FACTORS, FILE, Around, Capacity, CapacityError, as_json, fit, read_capacity
from deploy.planning.check import LOADS, check
from deploy.planning.load import Load, frames_of_load
from deploy.planning.measure import Measured, measure
from deploy.planning.plan import PlanError, Question, frames_per_s, plan
from deploy.planning.settings import PlanSettings
from schemas import topics
from schemas.events import Kind
from schemas.settings import SettingsError

AROUND = Around(800_000, 2, 1.5, 1.0, 50_000, 100)
COSTS = {
    "features_cpu": {"events": 1e-7, "frames": 2e-4, "rows": 1e-6},
    "score_cpu": {"ticks": 1e-3, "rows": 1e-5},
    "frame_bytes": {"events": 40.0, "frames": 1_500.0},
    "tick_bytes": {"ticks": 8_000.0, "rows": 600.0},
    "state_bytes": {"rows": 20.0},
    "score_bytes": {"ticks": 900.0, "rows": 40.0},
    "snapshot_bytes": {"one": 1_000.0, "instruments": 14_000.0},
}
CAPACITY = Capacity(COSTS, AROUND, {"date": "2026-11-21", "machine": "a desk", "command": "bench"})


def runs() -> list[tuple[Load, Measured]]:
    sizes = [(5, 500), (25, 25_000), (100, 10_000), (100, 50_000)]
    return [
        (
            Load(instruments, events, 20.0),
            CAPACITY.predict(instruments=instruments, events_per_s=events, frames_per_s=frames_per_s(events)),
        )
        for instruments, events in sizes
    ]


def test_fit_finds_the_costs_that_made_the_runs() -> None:
    found = fit(runs())
    for quantity, costs in COSTS.items():
        for factor, cost in costs.items():
            assert found[quantity][factor] == pytest.approx(cost, rel=0.02), (quantity, factor)


def test_no_cost_is_negative_whatever_the_noise() -> None:
    noisy = [(load, replace(found, features_cpu=1.0 / (1 + n))) for n, (load, found) in enumerate(runs())]
    assert min(cost for costs in fit(noisy).values() for cost in costs.values()) >= 0


def test_too_few_runs_are_refused() -> None:
    with pytest.raises(CapacityError, match="do not tell three costs apart"):
        fit(runs()[:2])


def test_file_is_read_as_it_was_written_and_its_mistakes_are_named(tmp_path: Path) -> None:
    path = tmp_path / "capacity.json"
    path.write_text(as_json(runs(), AROUND, {"date": "today"}))
    found = read_capacity(path)
    assert (found.path, found.about["date"]) == (AROUND, "today")
    raw = json.loads(path.read_text())
    del raw["costs"]["score_cpu"]["rows"]
    path.write_text(json.dumps(raw))
    with pytest.raises(CapacityError, match=r"capacity.json: KeyError\('rows'\): .*bench_capacity"):
        read_capacity(path)
    with pytest.raises(CapacityError, match="bench_capacity"):
        read_capacity(tmp_path / "nowhere")


def test_small_market_fits_one_channel() -> None:
    found = plan(Question(10, 1_000), CAPACITY, PlanSettings())
    assert (found.channels, found.partitions) == (1, 2)
    assert found.taskmanagers == {"compute_features": 1, "score_risk": 1, "enforce_orders": 1}


def test_channels_are_the_fewest_that_leave_the_room_that_is_asked_for() -> None:
    question, room = Question(2_000, 200_000), PlanSettings(utilisation=0.3)
    found = plan(question, CAPACITY, room)

    def busiest(channels: int) -> float:
        events = question.events_per_s / channels
        one = CAPACITY.predict(
            instruments=question.instruments / channels, events_per_s=events, frames_per_s=frames_per_s(events)
        )
        return max(one.features_cpu, one.score_cpu) + events / AROUND.events_per_s

    assert busiest(found.channels) <= 0.3 < busiest(found.channels - 1)
    assert found.partitions == 2 * found.channels


def test_disk_follows_retention_copies_and_hours() -> None:
    day = plan(Question(100, 10_000, 10), CAPACITY, PlanSettings())
    short = plan(Question(100, 10_000, 10, 8.0), CAPACITY, PlanSettings(replication=1))
    assert short.kafka_gib[topics.MARKET_FRAMES] == pytest.approx(day.kafka_gib[topics.MARKET_FRAMES] / 9)
    week_s, one = 7 * 24 * 3600, day.per_channel
    assert day.kafka_gib[topics.MARKET_FRAMES] == pytest.approx(one.frame_bytes * day.channels * week_s * 3 / 2**30)
    assert day.history_gib == pytest.approx(100 * 10 * 10 * 24 * 3600 * 100 / 2**30)
    assert plan(Question(100, 10_000, 20), CAPACITY, PlanSettings()).history_gib == pytest.approx(2 * day.history_gib)


def test_price_is_that_of_the_settings_and_counts_processor_hours_by_default() -> None:
    plain = plan(Question(10, 1_000), CAPACITY, PlanSettings())
    assert plain.cost_per_month == pytest.approx((3 + 4 * 0.25 + 10 * 10 / 50_000) * 730, rel=1e-3)
    dearer = plan(Question(10, 1_000), CAPACITY, PlanSettings(vcpu_hour=2.0))
    assert dearer.cost_per_month == pytest.approx(2 * plain.cost_per_month)
    disk = plan(Question(10, 1_000), CAPACITY, PlanSettings(vcpu_hour=0, disk_gib_month=1.0))
    assert disk.cost_per_month == pytest.approx(sum(disk.kafka_gib.values()) + disk.history_gib + disk.checkpoint_gib)


@pytest.mark.parametrize(
    ("question", "message"),
    [
        (Question(1, 10_000_000), "of one instrument are more than a channel carries"),
        (Question(0, 1), "at least 1"),
        (Question(30_000_000, 1_000), "more than 4096 channels"),
        (Question(3_000_000, 3_000_000), "Flink spreads at most 128"),
    ],
)
def test_what_no_deployment_carries_is_refused_with_what_to_change(question: Question, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        plan(question, CAPACITY, PlanSettings())


def test_settings_out_of_bounds_are_refused() -> None:
    with pytest.raises(SettingsError, match="utilisation"):
        PlanSettings(utilisation=1.5)


@settings(max_examples=40)
@given(st.integers(1, 2_000), st.integers(1, 500_000))
def test_more_never_needs_less(instruments: int, events: int) -> None:
    try:
        small = plan(Question(instruments, events), CAPACITY, PlanSettings())
        large = plan(Question(instruments * 2, events * 2), CAPACITY, PlanSettings())
    except PlanError:
        return
    assert large.channels >= small.channels
    assert large.history_gib >= small.history_gib
    assert sum(large.taskmanagers.values()) >= sum(small.taskmanagers.values())
    assert large.channels <= large.partitions or large.partitions == 128


def test_load_is_the_same_each_time_and_has_the_rate_that_was_asked_for() -> None:
    load = Load(7, 5_000, 2.0)
    frames = frames_of_load(load)
    assert [f.columns["order_id"].tolist() for f in frames] == [
        f.columns["order_id"].tolist() for f in frames_of_load(load)
    ]
    assert sum(f.event_count for f in frames) == 2 * 7 + 10_000
    assert 200 <= len(frames) <= 205
    kinds = {int(kind) for f in frames for kind in f.columns["kind"].tolist()}
    assert kinds == {Kind.DEFINE, Kind.CLEAR, Kind.ADD, Kind.DELETE, Kind.EXECUTE}


def test_load_within_the_warm_up_is_refused() -> None:
    with pytest.raises(ValueError, match="within the warm-up"):
        measure(Load(1, 10, 5.0), repository() / "models" / "default")


def test_check_that_meets_other_costs_does_not_hold() -> None:
    def as_told(load: Load, _model: Path) -> Measured:
        frames = frames_per_s(load.events_per_s)
        return CAPACITY.predict(instruments=load.instruments, events_per_s=load.events_per_s, frames_per_s=frames)

    def twice_the_bytes(load: Load, model: Path) -> Measured:
        return replace(as_told(load, model), tick_bytes=2 * as_told(load, model).tick_bytes)

    def slow_with_size(load: Load, model: Path) -> Measured:
        found = as_told(load, model)
        return replace(found, score_cpu=found.score_cpu * load.instruments)

    assert all(row.holds for row in check(CAPACITY, Path(), run=as_told))
    wrong = [row.quantity for row in check(CAPACITY, Path(), run=twice_the_bytes) if not row.holds]
    assert [name.split()[0] for name in wrong] == ["tick_bytes"] * len(LOADS)
    assert [row.quantity for row in check(CAPACITY, Path(), run=slow_with_size) if not row.holds] == ["score_cpu shape"]


def test_kept_figures_have_every_cost_and_say_where_they_come_from() -> None:
    found = read_capacity(repository() / FILE)
    assert {quantity: tuple(costs) for quantity, costs in found.costs.items()} == FACTORS
    assert {"date", "machine", "command", "load_after"} <= found.about.keys()


def test_command_prints_the_plan_and_takes_prices_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text('vcpu_hour = 0.05\ncurrency = "EUR"\n')
    asked = ["plan", "--instruments", "500", "--events-per-s", "100000", "--settings", str(tmp_path / "plan.toml")]
    said = CliRunner().invoke(main, asked)
    assert said.exit_code == 0, said.output
    assert "EUR a month" in said.output
    found = json.loads(CliRunner().invoke(main, [*asked, "--json"]).output)
    assert found["currency"] == "EUR"
    assert found["channels"] >= 1
    assert found["measured"]["command"].startswith("python -m benchmarks.bench_capacity")


@pytest.mark.slow
def test_prediction_holds_for_a_load_that_it_was_not_fitted_to() -> None:
    rows = check(read_capacity(repository() / FILE), repository() / "models" / "default")
    assert [(row.quantity, row.error) for row in rows if not row.holds] == []
