"""The bounded source of the rivals: one Kafka record per event."""

from pyflink.table import StreamTableEnvironment


def create_events(tables: StreamTableEnvironment, bootstrap_servers: str, topic: str) -> None:
    """Create the table ``events`` over ``topic``, bounded at what it holds now, and the sink ``nowhere``."""
    tables.execute_sql(
        "CREATE TABLE events (ts_ms BIGINT, instrument_id BIGINT, price BIGINT, qty BIGINT, side INT, "
        "ts AS TO_TIMESTAMP_LTZ(ts_ms, 3), WATERMARK FOR ts AS ts) "
        f"WITH ('connector' = 'kafka', 'topic' = '{topic}', 'properties.bootstrap.servers' = '{bootstrap_servers}', "
        f"'properties.group.id' = '{topic}', 'scan.startup.mode' = 'earliest-offset', "
        "'scan.bounded.mode' = 'latest-offset', 'format' = 'csv')"
    )
    tables.execute_sql(
        "CREATE TABLE nowhere (window_ms BIGINT, instrument_id BIGINT, events BIGINT, lots BIGINT, low BIGINT, high BIGINT, "
        "mean_price DOUBLE, signed_lots BIGINT, price_sd DOUBLE) WITH ('connector' = 'blackhole')"
    )
