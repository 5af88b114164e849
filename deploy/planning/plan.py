"""How many channels, partitions and TaskManagers, how much memory and disk, and what it costs: a calculation over measured costs.

Invariant: pure; every figure follows from the capacity file, the settings and the question. A channel is one subtask's and cannot
be shared, so it may take ``utilisation`` of one processor in each job; the number of channels is the smallest that keeps to it.
"""

import math
from dataclasses import dataclass
from typing import Any, Final

from deploy.planning.capacity import TICKS_PER_S, Capacity
from deploy.planning.measure import Measured
from deploy.planning.settings import PlanSettings
from jobs.settings import MAX_PARALLELISM
from schemas import topics
from schemas.units import FRAME_EVENTS_MAX, FRAME_SPAN_NS_MAX, NS_PER_MS, NS_PER_S

DAY_S: Final = 24 * 3600
MONTH_H: Final = 730
GIB: Final = 2**30
CHANNELS_MAX: Final = 4096
SPARE_CPU: Final = 0.25
"""Processors of a JobManager, the history writer's socket, the sidecar and the API: they wait most of the time."""
SIDE_PROCESSES: Final = ("jobmanager", "sidecar", "history", "api")
SIDE_GIB: Final = {"sidecar": 0.25, "api": 0.5, "history": 1.0}
"""Requests of the manifests, above the measured 0.06 and 0.38 GiB."""


class PlanError(ValueError):
    """No deployment can carry what was asked; the message says what to change."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be carried.

    Attributes:
        instruments: Instruments of all channels.
        events_per_s: Events of all of them, at the busiest.
        history_days: How long history keeps ticks.
        hours_per_day: Hours of trading: the rates hold for so long each day.
    """

    instruments: int
    events_per_s: int
    history_days: int = 30
    hours_per_day: float = 24.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What it takes.

    Attributes:
        channels: Channels, each with an equal share.
        partitions: Of every topic.
        taskmanagers: Job → TaskManagers of one slot.
        cpu: Process → processors, at the planned rate.
        memory_gib: Process → memory.
        kafka_gib: Topic → disk of all brokers together.
        history_gib: Disk of the history.
        checkpoint_gib: Storage of checkpoints.
        per_channel: Costs of one channel for each second.
        cost_per_month: In the currency of the settings.
    """

    channels: int
    partitions: int
    taskmanagers: dict[str, int]
    cpu: dict[str, float]
    memory_gib: dict[str, float]
    kafka_gib: dict[str, float]
    history_gib: float
    checkpoint_gib: float
    per_channel: Measured
    cost_per_month: float


def plan(question: Question, capacity: Capacity, settings: PlanSettings) -> Plan:
    """Return the smallest deployment that carries ``question``.

    Raises:
        PlanError: One instrument alone is more than a channel can carry, or the channels are more than Flink can spread.
    """
    if min(question.instruments, question.events_per_s, question.history_days) < 1:
        raise PlanError("instruments, events and days: at least 1 of each")
    channels = _channels(question, capacity, settings)
    one = _channel(question, capacity, channels)
    around = capacity.path
    flink_cpu = question.events_per_s / around.events_per_s * around.cores / 2  # half of it in each of the two jobs
    cpu = {
        "compute_features": channels * one.features_cpu + flink_cpu,
        "score_risk": channels * one.score_cpu + flink_cpu,
        "enforce_orders": SPARE_CPU,
        "history": question.instruments * TICKS_PER_S / around.history_rows_per_cpu_s + SPARE_CPU,
        **dict.fromkeys(("jobmanager", "sidecar", "api"), SPARE_CPU),
    }
    taskmanagers = {
        "compute_features": _taskmanagers(cpu["compute_features"], channels, settings),
        "score_risk": _taskmanagers(cpu["score_risk"], channels, settings),
        "enforce_orders": 1,
    }
    state_gib = channels * one.snapshot_bytes / GIB
    memory = {
        job: count * around.taskmanager_gib + (2 * state_gib if job == "compute_features" else 0.0)
        for job, count in taskmanagers.items()
    }
    memory |= {"jobmanager": around.jobmanager_gib, **SIDE_GIB}
    kafka = _kafka_gib(question, one, channels, settings=settings)
    rows = question.instruments * TICKS_PER_S * question.hours_per_day * 3600 * question.history_days
    history_gib = rows * around.history_bytes_per_row / GIB
    checkpoint_gib = settings.checkpoints_kept * state_gib
    paid_cpu = sum(taskmanagers.values()) + sum(max(cpu[name], SPARE_CPU) for name in SIDE_PROCESSES)
    hourly = paid_cpu * settings.vcpu_hour + sum(memory.values()) * settings.memory_gib_hour
    disk_gib = sum(kafka.values()) + history_gib + checkpoint_gib
    return Plan(
        channels=channels,
        partitions=min(max(channels * settings.partition_headroom, 1), MAX_PARALLELISM),
        taskmanagers=taskmanagers,
        cpu=cpu,
        memory_gib=memory,
        kafka_gib=kafka,
        history_gib=history_gib,
        checkpoint_gib=checkpoint_gib,
        per_channel=one,
        cost_per_month=hourly * MONTH_H + disk_gib * settings.disk_gib_month,
    )


def frames_per_s(events_per_s: float) -> float:
    """Return the frames of a channel: one each 10 ms, more where they are full."""
    return max(NS_PER_S / FRAME_SPAN_NS_MAX, events_per_s / FRAME_EVENTS_MAX)


def as_plain(found: Plan, question: Question, capacity: Capacity, *, settings: PlanSettings) -> dict[str, Any]:
    """Return the plan as JSON takes it, with what it rests on."""
    return {
        "question": {
            "instruments": question.instruments,
            "events_per_s": question.events_per_s,
            "history_days": question.history_days,
            "hours_per_day": question.hours_per_day,
        },
        "channels": found.channels,
        "partitions": found.partitions,
        "taskmanagers": found.taskmanagers,
        "cpu": {name: round(value, 3) for name, value in found.cpu.items()},
        "memory_gib": {name: round(value, 2) for name, value in found.memory_gib.items()},
        "kafka_gib": {name: round(value, 2) for name, value in found.kafka_gib.items()},
        "history_gib": round(found.history_gib, 2),
        "checkpoint_gib": round(found.checkpoint_gib, 3),
        "cost_per_month": round(found.cost_per_month, 2),
        "currency": settings.currency,
        "measured": dict(capacity.about),
    }


def _channel(question: Question, capacity: Capacity, channels: int) -> Measured:
    events = question.events_per_s / channels
    return capacity.predict(
        instruments=question.instruments / channels, events_per_s=events, frames_per_s=frames_per_s(events)
    )


def _channels(question: Question, capacity: Capacity, settings: PlanSettings) -> int:
    """Return the fewest channels of which each fits into its share of a processor in both jobs."""
    around, most = capacity.path, min(question.instruments, CHANNELS_MAX)
    for channels in range(1, most + 1):
        one = _channel(question, capacity, channels)
        flink = question.events_per_s / channels / around.events_per_s * around.cores / 2
        fits = max(one.features_cpu, one.score_cpu) + flink <= settings.utilisation
        limit = settings.instruments_per_channel
        if fits and (not limit or question.instruments <= channels * limit):
            return channels
    if most == question.instruments:
        raise PlanError(
            f"{question.events_per_s / most:.0f} events/s of one instrument are more than a channel carries at a utilisation of "
            f"{settings.utilisation}: raise it, or plan for fewer events"
        )
    raise PlanError(f"more than {CHANNELS_MAX} channels: split the deployment by market")


def _taskmanagers(cpu: float, channels: int, settings: PlanSettings) -> int:
    count = min(max(math.ceil(cpu / settings.utilisation), 1), channels)
    if count > MAX_PARALLELISM:
        raise PlanError(f"{count} subtasks, Flink spreads at most {MAX_PARALLELISM}: split the deployment by market")
    return count


def _kafka_gib(question: Question, one: Measured, channels: int, *, settings: PlanSettings) -> dict[str, float]:
    share = question.hours_per_day / 24
    per_s = {
        topics.MARKET_FRAMES: one.frame_bytes,
        topics.FEATURES_TICKS: one.tick_bytes,
        topics.RISK_STATES: one.state_bytes,
        topics.RISK_SCORES: one.score_bytes,
    }
    retention_s = {topic.name: topic.retention_ms * NS_PER_MS / NS_PER_S for topic in topics.TOPICS}
    factor = channels * share * settings.replication * settings.compression / GIB
    return {name: rate * retention_s[name] * factor for name, rate in per_s.items()}
