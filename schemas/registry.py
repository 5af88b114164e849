"""The optional schema registry: used when ``schema_registry_url`` is set, with the Confluent wire format.

Ids and schemas never change once given, so both directions are cached for the life of the process.
"""

from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError


class ConfluentRegistry:
    """A registry that speaks Confluent's REST interface (Apicurio and Redpanda do too)."""

    def __init__(self, url: str) -> None:
        self._client = SchemaRegistryClient.new_client({"url": url})
        self._ids: dict[tuple[str, str], int] = {}
        self._schemas: dict[int, str] = {}

    def id_of(self, subject: str, schema_json: str) -> int:
        """Return the id of the schema under ``subject``, registering it when new."""
        key = (subject, schema_json)
        if key not in self._ids:
            self._ids[key] = self._client.register_schema(subject, Schema(schema_json, "AVRO"))
        return self._ids[key]

    def schema_of(self, schema_id: int) -> str:
        """Return the schema with this id as JSON; raise ``KeyError`` when there is none."""
        if schema_id not in self._schemas:
            try:
                self._schemas[schema_id] = str(self._client.get_schema(schema_id).schema_str)
            except SchemaRegistryError as error:
                raise KeyError(schema_id) from error
        return self._schemas[schema_id]
