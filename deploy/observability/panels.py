"""What the dashboards show: the loop by Prometheus, what came of it by SQL on history.

Invariant: the first row of each answers "may I trust what is in force now?", the rows below say why not.
"""

from pathlib import Path
from typing import Final

from deploy.observability.dashboards import CLICKHOUSE, PROMETHEUS, Dashboard, Panel, Query, file_of, text_of

SQL: Final = Path(__file__).parent / "sql"
"""Statements with Grafana's macros for the span that is shown; a test asks each of a real history."""


def _quantiles(name: str, by: str = "") -> tuple[Query, ...]:
    labels = f"{by}, le" if by else "le"
    shown = f"{{{{{by}}}}} " if by else ""
    return tuple(
        Query(f"histogram_quantile({q}, sum by ({labels}) (rate({name}_bucket[1m])))", f"{shown}p{round(q * 100)}")
        for q in (0.5, 0.99)
    )


LOOP: Final = Dashboard(
    "tidegate-loop",
    "Tidegate: the loop",
    PROMETHEUS,
    (
        Panel(
            "Rows of the gate", "Rows by validity. Stale and expired rows mean that the stale column is in force.", "short",
            (Query("sum by (validity) (tidegate_gate_rows)", "{{validity}}"),), "stat", 6,
        ),
        Panel(
            "Tiers in force", "Instruments by the tier of their row.", "short",
            (Query("sum by (tier) (tidegate_gate_instruments)", "{{tier}}"),), "stat", 6,
        ),
        Panel(
            "Last heartbeat of the sidecar", "Above 1 s, trading processes take every row as stale.", "s",
            (Query("max by (instance) (tidegate_gate_table_age_seconds)", "seen by {{instance}}"),
             Query("max by (instance) (tidegate_gate_heartbeat_age_seconds)", "its own")), "stat", 6,
        ),
        Panel(
            "Late states, part of all", "States in force later than 0.1 s after their tick; the budget is 1 %.", "percentunit",
            (Query("tidegate:gate_late_states:ratio_rate5m", "5 min"), Query("tidegate:gate_late_states:ratio_rate1h", "1 h")),
            "stat", 6,
        ),
        Panel(
            "Age of a tick, hop by hop", "From the tick to features, score and state in the jobs. The widest step is the slow hop.",
            "s", _quantiles("tidegate_jobs_tick_age_seconds", "hop"), width=12,
        ),
        Panel(
            "Age of a tick at the gate and in history", "The goal at the gate is p50 10 ms, p99 50 ms. Empty in a replay.",
            "s",
            (*_quantiles("tidegate_gate_state_age_seconds"), *_quantiles("tidegate_history_tick_age_seconds", "table")), width=12,
        ),
        Panel(
            "Frames", "Per channel; heartbeats come also when nothing trades, so none means that the feed is gone.", "ops",
            (Query("sum by (channel) (rate(tidegate_jobs_frames_total[30s]))", "{{channel}} taken"),
             Query("sum by (channel) (rate(tidegate_feeds_frames_total[30s]))", "{{channel}} sent")),
        ),
        Panel(
            "Ticks and states", "Ticks close by data; states are told on change and each second.", "ops",
            (Query("sum by (channel) (rate(tidegate_jobs_ticks_total[30s]))", "ticks of {{channel}}"),
             Query("sum(rate(tidegate_jobs_states_total[30s]))", "states"),
             Query("sum by (outcome) (rate(tidegate_gate_states_total[30s]))", "at the gate: {{outcome}}")),
        ),
        Panel(
            "Behind their topics", "Messages not read yet. What counts for orders is the jobs and the gate.", "short",
            (Query("sum by (job_name) (flink_taskmanager_job_task_operator_KafkaSourceReader_KafkaConsumer_records_lag_max)",
                   "{{job_name}}"),
             Query("sum(tidegate_gate_lag_messages)", "gate"), Query("sum(tidegate_history_lag_messages)", "history"),
             Query("sum(tidegate_api_lag_messages)", "console")),
        ),
        Panel(
            "Instruments by tier, as the scorer sees them", "The gate's may be tighter: limits leave slowly.", "short",
            (Query("sum by (tier) (tidegate_jobs_instruments)", "{{tier}}"),
             Query("sum(tidegate_jobs_stale_instruments)", "stale"), Query("sum(tidegate_jobs_degraded_instruments)", "degraded")),
        ),
        Panel(
            "Tiers entered, and flapped", "Per hour. Calm has a budget; a tier that flaps leaves too fast.", "short",
            (Query("sum by (tier) (increase(tidegate_jobs_tiers_entered_total[1h]))", "{{tier}}"),
             Query("sum by (tier) (increase(tidegate_jobs_tiers_flapped_total[1h]))", "{{tier}} again")),
        ),
        Panel(
            "The network", "What became of each tick, and how long its step took. Without answers the other measures judge alone.",
            "ops",
            (Query("sum by (outcome) (rate(tidegate_jobs_network_ticks_total[1m]))", "{{outcome}}"),
             Query("sum by (model) (rate(tidegate_jobs_model_ticks_total[1m]))", "judged by {{model}}")),
        ),
        Panel(
            "Time to score a message of ticks", "The goal is 5 ms for 500 instruments.", "s",
            _quantiles("tidegate_jobs_score_seconds"),
        ),
        Panel(
            "Time from a state's bytes to its row", "Work of the sidecar; grows with instruments per message.", "s",
            _quantiles("tidegate_gate_apply_seconds"),
        ),
        Panel(
            "Age of a command once in force", "From Kafka to the gate; a kill is a command.", "s",
            _quantiles("tidegate_gate_command_age_seconds"),
        ),
        Panel(
            "Orders judged", "In trading processes, and in enforce_orders.", "ops",
            (Query("sum by (outcome) (rate(tidegate_gate_orders_total[1m]))", "{{outcome}}"),
             Query("sum by (verdict) (rate(tidegate_jobs_decisions_total[1m]))", "in Flink: {{verdict}}")),
        ),
        Panel(
            "Refused, by reason", "Of trading processes. One reason that grows alone is a limit that no longer fits.", "ops",
            (Query('sum by (reason) (rate(tidegate_gate_decisions_total{verdict!="ACCEPT"}[1m]))', "{{reason}}"),),
        ),
        Panel(
            "The trail of decisions", "What the broker does not have yet, and what is lost: lost must stay 0.", "short",
            (Query("sum by (instance) (tidegate_gate_ring_pending_entries)", "{{instance}} in the ring"),
             Query("sum by (instance) (tidegate_gate_facts_waiting)", "{{instance}} facts"),
             Query("sum(increase(tidegate_gate_ring_lost_total[1h]))", "lost in 1 h"),
             Query("sum(increase(tidegate_gate_ring_torn_total[1h]))", "torn in 1 h")),
        ),
        Panel(
            "Dead letters", "By who gave up and why. Each lies in the table dead_letters with its place and bytes.", "short",
            (Query("sum by (source, cause) (increase(tidegate_api_dead_letters_seen_total[5m]))", "{{source}} {{cause}}"),
             Query("sum by (step) (increase(tidegate_jobs_dead_letters_total[5m]))", "told by {{step}}"),
             Query("increase(tidegate_gate_dead_letters_total[5m])", "told by the gate"),
             Query("increase(tidegate_history_dead_letters_total[5m])", "told by history")),
        ),
        Panel(
            "Rows into history", "Per table.", "ops",
            (Query("sum by (table) (rate(tidegate_history_rows_total[1m]))", "{{table}}"),),
        ),
        Panel("Time to store a batch", "Back-pressure ends at the writer: the loop waits for nothing here.", "s",
              _quantiles("tidegate_history_insert_seconds")),
        Panel(
            "Requests", "To the head of the answer; the goal for current state is p99 20 ms.", "s",
            (Query("histogram_quantile(0.99, sum by (route, le) (rate(tidegate_api_request_seconds_bucket[5m])))", "{{route}}"),),
        ),
        Panel(
            "Answers that are faults", "4xx are people's, 5xx are ours.", "ops",
            (Query('sum by (route, status) (rate(tidegate_api_request_seconds_count{status=~"[45].."}[5m]))',
                   "{{status}} {{route}}"),
             Query("sum(tidegate_api_streams)", "open streams")),
        ),
        Panel(
            "Expectations that do not hold", "By table and severity. Critical: what is decided or learned from such rows is wrong.",
            "short",
            (Query("sum by (table, severity) (tidegate_quality_failing_expectations) > 0", "{{table}} {{severity}}"),
             Query("sum(tidegate_quality_unasked_tables)", "tables without an answer"),
             Query("sum(increase(tidegate_quality_late_rows_total[5m]))", "late rows in 5 min"),
             Query("sum(increase(tidegate_quality_unseen_rows_total[5m]))", "rows not looked at in 5 min")),
        ),
        Panel(
            "Looks of data quality", "Since the last one, and how long one takes. Above a minute nobody judges what came since.",
            "s",
            (Query("max by (instance) (tidegate_quality_look_age_seconds)", "since the last"),
             Query("sum(rate(tidegate_quality_look_seconds_sum[10m])) / sum(rate(tidegate_quality_looks_total[10m]))", "mean"),
             Query("histogram_quantile(0.99, sum by (le) (rate(tidegate_quality_look_seconds_bucket[10m])))", "p99")),
        ),
        Panel(
            "Jobs: held back and busy", "Held back: ticks come late. Busy above 0.8: the next burst will.", "percentunit",
            (Query("max by (task_name) (flink_taskmanager_job_task_backPressuredTimeMsPerSecond) / 1000",
                   "held back {{task_name}}"),
             Query("max by (task_name) (flink_taskmanager_job_task_busyTimeMsPerSecond) / 1000", "busy {{task_name}}")),
        ),
        Panel(
            "Checkpoints", "How long the last one took; how many were made, and failed, in 10 min.", "short",
            (Query("max by (job_name) (flink_jobmanager_job_lastCheckpointDuration)", "{{job_name}} ms"),
             Query("max by (job_name) (increase(flink_jobmanager_job_numberOfCompletedCheckpoints[10m]))", "{{job_name}} made"),
             Query("max by (job_name) (increase(flink_jobmanager_job_numberOfFailedCheckpoints[10m]))", "{{job_name}} failed")),
        ),
        Panel(
            "Memory", "Resident, of our own processes; flat in a healthy deployment.", "bytes",
            (Query("process_resident_memory_bytes", "{{process}}"),),
        ),
    ),
)  # fmt: skip


def _asked(name: str) -> tuple[Query, ...]:
    return (Query((SQL / f"{name}.sql").read_text()),)


HISTORY: Final = Dashboard(
    "tidegate-history",
    "Tidegate: what happened",
    CLICKHOUSE,
    (
        Panel("Tier", "0 Normal to 3 Critical; the tightest of each second.", "short", _asked("tier"), width=12),
        Panel("Score", "-log10 p, of the instrument and of channel or market.", "short", _asked("score"), width=12),
        Panel("Price", "Lowest and highest mid of each second, currency.", "short", _asked("price"), width=12),
        Panel("Spread and volatility", "The widest of each second, basis points.", "short", _asked("spread"), width=12),
        Panel("Changes of tier, and why", "Newest first.", "short", _asked("tier_changes"), "table", 12),
        Panel("Orders by verdict and reason", "Of both enforcers.", "short", _asked("decisions"), "table", 12),
        Panel("Alerts", "Newest first.", "short", _asked("alerts"), "table", 12),
        Panel("Dead letters", "By who gave up, and why.", "short", _asked("dead_letters"), "table", 12),
        Panel("Expectations that did not hold", "Data quality: where, and how many rows.", "short", _asked("quality"), "table", 12),
        Panel("Commands of people", "Newest first.", "short", _asked("commands"), "table", 12),
    ),
    (("instrument", _asked("instrument")[0].text),),
)  # fmt: skip

DASHBOARDS: Final = (LOOP, HISTORY)


def main() -> None:
    """Write every dashboard's file."""
    for dashboard in DASHBOARDS:
        path = file_of(dashboard)
        path.parent.mkdir(exist_ok=True)
        path.write_text(text_of(dashboard))


if __name__ == "__main__":
    main()
