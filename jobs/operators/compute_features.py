"""The operator of `compute_features`: keyed by channel, a live machine as cache, snapshot and frames as keyed state."""

from collections.abc import Iterator
from typing import Any

from pyflink.common import Row, Types
from pyflink.datastream import KeyedProcessFunction, OutputTag, RuntimeContext
from pyflink.datastream.state import ListStateDescriptor, ValueStateDescriptor

from jobs.machines.channel_features import ChannelFeatures
from jobs.machines.sealing import Machine, Seal
from jobs.operators.python_thread import PythonThread
from jobs.sinks import MESSAGE
from jobs.sources import message_of

DEAD_LETTERS = OutputTag("dead-letters", MESSAGE)


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
        metrics = runtime_context.get_metrics_group()
        self._ticks_count = metrics.counter("tick_messages")
        self._letters_count = metrics.counter("dead_letters")

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
            self._letters_count.inc()
            yield DEAD_LETTERS, Row(*letter)
        if outcome.ticks is not None:
            self._ticks_count.inc()
            yield Row(message.key, outcome.ticks)

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
