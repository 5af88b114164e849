"""Seven aggregates per instrument and 100 ms by Flink SQL: no Python on the way."""

import sys

from pyflink.table import EnvironmentSettings, StreamTableEnvironment, TableEnvironment

from benchmarks.rivals.source import create_events

QUERY = """
INSERT INTO nowhere
SELECT UNIX_TIMESTAMP(CAST(window_start AS STRING)), instrument_id, COUNT(*), SUM(qty), MIN(price), MAX(price),
       AVG(CAST(price AS DOUBLE)), SUM(qty * side), STDDEV_POP(CAST(price AS DOUBLE))
FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(ts), INTERVAL '0.1' SECOND))
GROUP BY window_start, window_end, instrument_id
"""


def main(bootstrap_servers: str, topic: str) -> None:
    """Submit the job under the name of its topic."""
    tables: StreamTableEnvironment = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    tables.get_config().set("pipeline.name", topic)
    tables.get_config().set("parallelism.default", "1")
    create_events(tables, bootstrap_servers, topic)
    tables.execute_sql(QUERY)


if __name__ == "__main__":
    main(*sys.argv[1:3])
