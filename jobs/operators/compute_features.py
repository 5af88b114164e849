"""The operator of `compute_features`: keyed by channel, a live machine as cache, snapshot and frames as keyed state."""

from collections.abc import Iterator
from typing import Any, Final

from pyflink.common import Row, Types
from pyflink.datastream import KeyedProcessFunction, OutputTag, RuntimeContext
from pyflink.datastream.state import ListStateDescriptor, ValueStateDescriptor

from jobs.machines.channel_features import ChannelFeatures, FrameOutcome
from jobs.machines.sealing import Machine, Seal
from jobs.measuring import OperatorMetrics
from jobs.operators.python_thread import PythonThread
from jobs.sinks import MESSAGE
from jobs.sources import message_of
from schemas import metrics

DEAD_LETTERS = OutputTag("dead-letters", MESSAGE)
STEP: Final = "compute_features"
HOP: Final = "features"


class ComputeFeatures(KeyedProcessFunction):
    """Frames in, ``(channel, encoded ticks)`` out; refused frames to the side output ``DEAD_LETTERS``.

    The cache dies with the operator; Flink restores the keyed state, and the first frame of a channel rebuilds it.
    """

    def __init__(self, *, epoch: int, state_version: int) -> None:
        self._epoch = epoch
        self._seal = Seal(Machine.CHANNEL_FEATURES, epoch, state_version)

    def open(self, runtime_context: RuntimeContext) -> None:
        """Open the two states; nothing is read before the first frame."""
        self._machines: dict[str, ChannelFeatures] = {}
        self._thread = PythonThread("compute-features")
        self._snapshot = runtime_context.get_state(ValueStateDescriptor("snapshot-v1", Types.PICKLED_BYTE_ARRAY()))
        self._frames = runtime_context.get_list_state(ListStateDescriptor("frames-v1", Types.PICKLED_BYTE_ARRAY()))
        self._metrics = OperatorMetrics(runtime_context.get_metrics_group())
        self._metrics.declare(metrics.JOBS_DEAD_LETTERS, STEP)
        self._metrics.declare(metrics.JOBS_TICK_AGE, HOP)
        self._metrics.declare(metrics.JOBS_REPLAYED)

    def process_element(self, value: Any, ctx: KeyedProcessFunction.Context) -> Iterator[Any]:
        """Apply one frame."""
        message = message_of(value)
        machine = self._machine(ctx.get_current_key())
        outcome = self._thread.call(machine.apply, message.value, message.place)
        if outcome.snapshot is not None:
            self._snapshot.update(self._seal.close(outcome.snapshot))
            self._frames.clear()
        elif outcome.keep:
            self._frames.add(message.value)
        for letter in outcome.letters:
            self._metrics.now(metrics.JOBS_DEAD_LETTERS, 1, STEP)
            yield DEAD_LETTERS, Row(*letter)
        if outcome.ticks is not None:
            yield Row(message.key, outcome.ticks)
        self._measure(ctx.get_current_key(), outcome)

    def _measure(self, channel_id: str, outcome: FrameOutcome) -> None:
        told = self._metrics
        told.count(metrics.JOBS_FRAMES, 1, channel_id)
        if outcome.tick_ns:
            told.count(metrics.JOBS_TICKS, len(outcome.tick_ns), channel_id)
            told.count(metrics.JOBS_TICK_ROWS, outcome.rows, channel_id)
            for tick_ns in outcome.tick_ns:
                if not told.age(metrics.JOBS_TICK_AGE, tick_ns, HOP):
                    told.count(metrics.JOBS_REPLAYED)
        told.flush_if_due()

    def _machine(self, channel_id: str) -> ChannelFeatures:
        machine = self._machines.get(channel_id)
        if machine is None:
            snapshot, frames = self._snapshot.value(), self._frames.get()
            machine = self._thread.call(
                ChannelFeatures.restore,
                channel_id,
                None if snapshot is None else self._seal.open(bytes(snapshot)),
                [bytes(raw) for raw in frames or ()],
                epoch=self._epoch,
            )
            self._machines[channel_id] = machine
        return machine
