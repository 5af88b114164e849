"""What a process exports: the whole table from the first scrape on, read where it is kept, on a port or on none."""

import re
import urllib.request

import prometheus_client.parser
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.local.ports import free_ports
from schemas import metrics
from schemas.exposition import ProcessMetrics
from schemas.metrics import PROCESSES, Kind, age_s, samples

NOW_NS = 1_768_487_428_000_000_000


def families(text: str) -> dict[str, str]:
    return {
        f.name + ("_total" if f.type == "counter" else ""): f.type
        for f in prometheus_client.parser.text_string_to_metric_families(text)
    }


@pytest.mark.parametrize("process", sorted(PROCESSES))
def test_every_metric_of_a_process_is_exported_before_anything_happened(process: str) -> None:
    exported = families(ProcessMetrics(process).text())
    assert {m.name: m.kind.value for m in PROCESSES[process]}.items() <= exported.items()


def test_counts_are_read_at_the_scrape_and_not_before() -> None:
    told, rows = ProcessMetrics("history"), {"ticks": 1}
    asked: list[int] = []

    def read() -> list[tuple[metrics.Metric, float, tuple[str, ...]]]:
        asked.append(1)
        return [(metrics.HISTORY_ROWS, count, (table,)) for table, count in rows.items()]

    told.read(read)
    assert not asked
    rows["ticks"] = 7
    assert 'tidegate_history_rows_total{table="ticks"} 7.0' in told.text()


def test_a_wrong_number_of_labels_is_a_bug_that_the_scrape_shows() -> None:
    told = ProcessMetrics("history")
    told.read(lambda: [(metrics.HISTORY_ROWS, 1)])
    with pytest.raises(AssertionError, match="tidegate_history_rows_total"):
        told.text()


def test_port_answers_until_closed_and_none_is_opened_for_port_0() -> None:
    (port,) = free_ports(1)
    with ProcessMetrics("gate").serve("127.0.0.1", port):
        body = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5).read().decode()
        assert "# TYPE tidegate_gate_rows gauge" in body
    with pytest.raises(OSError):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5)
    ProcessMetrics("gate").serve("127.0.0.1", 0).close()


def test_port_that_is_taken_is_told_and_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    (port,) = free_ports(1)
    with ProcessMetrics("gate").serve("127.0.0.1", port):
        ProcessMetrics("gate").serve("127.0.0.1", port).close()
    assert f"metrics_not_served address=127.0.0.1:{port}" in caplog.text


@pytest.mark.parametrize(
    ("tick_ns", "age"),
    [
        (NOW_NS, 0.0),
        (NOW_NS - 20_000_000, 0.02),
        (NOW_NS + 5_000_000, 0.0),
        (NOW_NS - 86_400_000_000_000, None),
        (0, None),
    ],
)
def test_age_is_of_live_ticks_alone(tick_ns: int, age: float | None) -> None:
    assert age_s(tick_ns, NOW_NS) == (None if age is None else pytest.approx(age))


@given(st.integers(0, 2**62), st.integers(0, 2**62))
def test_age_is_never_negative_and_never_above_what_live_means(tick_ns: int, now_ns: int) -> None:
    age = age_s(tick_ns, now_ns)
    assert age is None or 0.0 <= age <= metrics.LIVE_AGE_MAX_S


def test_ages_fall_into_the_bucket_that_bounds_them() -> None:
    told = ProcessMetrics("gate")
    assert told.observe_age(metrics.GATE_STATE_AGE, NOW_NS - 15_000_000, NOW_NS)
    assert not told.observe_age(metrics.GATE_STATE_AGE, 0, NOW_NS)
    text = told.text()
    assert 'tidegate_gate_state_age_seconds_bucket{le="0.01"} 0.0' in text
    assert 'tidegate_gate_state_age_seconds_bucket{le="0.02"} 1.0' in text
    assert "tidegate_gate_state_age_seconds_count 1.0" in text


def test_names_follow_the_convention() -> None:
    every = [metric for table in PROCESSES.values() for metric in table]
    assert len({metric.name for metric in every}) == len(every)
    for metric in every:
        assert metric.name.startswith("tidegate_")
        assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
        assert bool(metric.buckets) == (metric.kind is Kind.HISTOGRAM)
        assert list(metric.buckets) == sorted(metric.buckets)
        assert "_ms" not in metric.name
        assert "_ns" not in metric.name


def test_names_that_flink_gives_become_ours() -> None:
    given = "flink_taskmanager_job_task_operator_hop_le_tidegate_jobs_tick_age_seconds_bucket"
    found = re.fullmatch(metrics.FLINK_NAMES, given)
    assert found is not None
    assert found[1] == samples(metrics.JOBS_TICK_AGE)[0] == "tidegate_jobs_tick_age_seconds_bucket"
    assert not re.fullmatch(metrics.FLINK_NAMES, "flink_taskmanager_job_task_operator_numRecordsIn")
