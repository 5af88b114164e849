"""Kafka sinks: rows of (key, value) bytes, at least once. Consumers are idempotent by the keys in the values."""

from typing import Final

from pyflink.common import Types
from pyflink.common.serialization import RowFieldExtractorSchema
from pyflink.datastream import DataStream
from pyflink.datastream.connectors.base import DeliveryGuarantee
from pyflink.datastream.connectors.kafka import KafkaRecordSerializationSchema, KafkaSink

from jobs.settings import JobSettings
from schemas.kafka_security import FLINK_SHADED, java_options

BYTES: Final = Types.PRIMITIVE_ARRAY(Types.BYTE())
MESSAGE: Final = Types.ROW([BYTES, BYTES])
"""A row of key and value: what every operator of ours emits and every sink takes."""


def write_topic(stream: DataStream, settings: JobSettings, *, topic: str, uid: str) -> None:
    """Write a stream of ``MESSAGE`` rows to ``topic``; the record timestamp is the event time where there is one."""
    serializer = (
        KafkaRecordSerializationSchema.builder()
        .set_topic(topic)
        .set_key_serialization_schema(RowFieldExtractorSchema(0))
        .set_value_serialization_schema(RowFieldExtractorSchema(1))
        .build()
    )
    builder = KafkaSink.builder()
    for name, value in java_options(settings, shaded=FLINK_SHADED).items():
        builder = builder.set_property(name, value)
    sink = (
        builder.set_bootstrap_servers(settings.bootstrap_servers)
        .set_record_serializer(serializer)
        .set_delivery_guarantee(DeliveryGuarantee.AT_LEAST_ONCE)
        .set_property("linger.ms", "0")
        .set_property("max.request.size", str(16 * 1024 * 1024))
        # A broker that restarts must not fail the job: the client waits for it.
        .set_property("delivery.timeout.ms", "120000")
        .set_property("reconnect.backoff.max.ms", "500")
        .build()
    )
    stream.sink_to(sink).uid(uid).name(uid)
