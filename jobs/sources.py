"""Kafka sources that know where each message came from.

PyFlink's own ``KafkaSource`` hands over the value alone; a dead letter needs key, partition and offset too, so topics are
read through the SQL connector (format ``raw`` with metadata columns) and turned into a stream of rows.
"""

from dataclasses import dataclass
from typing import Any

from pyflink.datastream import DataStream
from pyflink.table import StreamTableEnvironment

from jobs.settings import JobSettings
from schemas.errors import Place
from schemas.kafka_security import FLINK_SHADED, java_options


@dataclass(frozen=True, slots=True)
class Message:
    """One Kafka message inside a job."""

    key: bytes
    value: bytes
    place: Place


def message_of(row: Any) -> Message:
    """Return the message in a row of :func:`read_topic`."""
    return Message(bytes(row[0] or b""), bytes(row[1] or b""), Place(row[4], row[2], row[3]))


def key_of(row: Any) -> str:
    """Return the record key as text: the key of every keyed stream of ours."""
    return bytes(row[0] or b"").decode(errors="replace")


def read_topic(tables: StreamTableEnvironment, settings: JobSettings, *, topic: str, job: str) -> DataStream:
    """Return a stream of rows ``(key BYTES, value BYTES, partition INT, offset BIGINT, topic STRING, ts)`` of a topic.

    Starts from the offsets that the job committed, from the earliest where there are none.
    """
    table = create_table(tables, settings, topic=topic, job=job)
    # Topic and table are names of ours.
    query = f"SELECT message_key, message, `partition`, `offset`, CAST('{topic}' AS STRING) AS topic, ts FROM {table}"  # noqa: S608
    return tables.to_data_stream(tables.sql_query(query))


def create_table(tables: StreamTableEnvironment, settings: JobSettings, *, topic: str, job: str) -> str:
    """Create the SQL table of a topic and return its name (also useful to analysts in the SQL client)."""
    name = topic.replace(".", "_")
    options = {
        "connector": "kafka",
        "topic": topic,
        "properties.bootstrap.servers": settings.bootstrap_servers,
        "properties.group.id": f"{settings.group_prefix}.{job}",
        "properties.auto.offset.reset": "earliest",
        "properties.fetch.min.bytes": "1",
        "properties.fetch.max.wait.ms": "500",
        "properties.reconnect.backoff.max.ms": "500",
        "scan.startup.mode": "group-offsets",
        "key.format": "raw",
        "key.fields": "message_key",
        "value.format": "raw",
        "value.fields-include": "EXCEPT_KEY",
    }
    options |= {f"properties.{key}": value for key, value in java_options(settings, shaded=FLINK_SHADED).items()}
    listed = ", ".join(f"'{key}' = '{_quoted(value)}'" for key, value in options.items())
    tables.execute_sql(
        f"CREATE TABLE {name} (message_key BYTES, message BYTES, "
        "`partition` INT METADATA VIRTUAL, `offset` BIGINT METADATA VIRTUAL, "
        "ts TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL, WATERMARK FOR ts AS ts) "
        f"WITH ({listed})"
    )
    return name


def _quoted(text: str) -> str:
    """Return ``text`` as it stands between the quotes of SQL."""
    return text.replace("'", "''")
