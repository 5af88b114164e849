"""The same seven aggregates by a Python operator that is called once per event, as examples of PyFlink do it."""

import math
import sys
from collections.abc import Iterator
from typing import Any

from pyflink.common import Configuration, Row, Types
from pyflink.datastream import KeyedProcessFunction, RuntimeContext, StreamExecutionEnvironment
from pyflink.table import StreamTableEnvironment

from benchmarks.rivals.source import create_events

WINDOW_MS = 100
_LONG, _DOUBLE = Types.LONG(), Types.DOUBLE()
OUTPUT = Types.ROW_NAMED(
    ["window_ms", "instrument_id", "events", "lots", "low", "high", "mean_price", "signed_lots", "price_sd"],
    [_LONG, _LONG, _LONG, _LONG, _LONG, _LONG, _DOUBLE, _LONG, _DOUBLE],
)


class Aggregate(KeyedProcessFunction):
    """Holds the running window of each instrument in the operator: faster than Flink's state, and lost with it."""

    def open(self, runtime_context: RuntimeContext) -> None:
        """Begin without windows."""
        del runtime_context
        self._windows: dict[int, list[float]] = {}

    def process_element(self, value: Any, ctx: KeyedProcessFunction.Context) -> Iterator[Row]:
        """Take one event; emit the window that it closes."""
        del ctx
        ts_ms, instrument, price, qty, side = value[0], value[1], value[2], value[3], value[4]
        window_ms = ts_ms - ts_ms % WINDOW_MS
        held = self._windows.get(instrument)
        if held is None or held[0] != window_ms:
            if held is not None:
                yield _row(instrument, held)
            held = self._windows[instrument] = [window_ms, 0, 0, price, price, 0, 0, 0]
        held[1] += 1
        held[2] += qty
        held[3], held[4] = min(held[3], price), max(held[4], price)
        held[5] += price
        held[6] += qty * side
        held[7] += price * price


def _row(instrument: int, held: list[Any]) -> Row:
    window_ms, count, lots, low, high, total, signed, squares = held
    mean = total / count
    return Row(
        window_ms, instrument, count, lots, low, high, mean, signed, math.sqrt(max(squares / count - mean * mean, 0.0))
    )


def main(bootstrap_servers: str, topic: str) -> None:
    """Submit the job under the name of its topic."""
    config = Configuration()
    config.set_string("python.execution-mode", "thread")
    config.set_string("pipeline.name", topic)
    env = StreamExecutionEnvironment.get_execution_environment(config)
    env.set_parallelism(1)
    tables = StreamTableEnvironment.create(env)
    create_events(tables, bootstrap_servers, topic)
    stream = tables.to_data_stream(tables.sql_query("SELECT ts_ms, instrument_id, price, qty, side FROM events"))
    closed = stream.key_by(lambda row: row[1], key_type=Types.LONG()).process(Aggregate(), output_type=OUTPUT)
    tables.from_data_stream(closed).execute_insert("nowhere")


if __name__ == "__main__":
    main(*sys.argv[1:3])
