"""Avro records: examples, golden bytes, both framings, damaged input."""

import base64
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from schemas import codec, topics
from schemas.errors import MessageError, Place
from schemas.records import RiskState
from schemas.registry import ConfluentRegistry

GOLDEN = Path(__file__).parents[1] / "golden" / "schemas"
PUBLISHED = sorted(codec.SCHEMA_ROOT.glob("*/examples/v*/*.json"))
EXAMPLES = [path for path in PUBLISHED if path.parent.name == f"v{codec.versions_newest(path.parents[2].name)}"]
OLDER = [path for path in PUBLISHED if path not in EXAMPLES]


def _unbase64(plain: dict[str, Any]) -> dict[str, Any]:
    return {
        name: base64.b64decode(value["base64"]) if isinstance(value, dict) and value.keys() == {"base64"} else value
        for name, value in plain.items()
    }


def _load(path: Path) -> tuple[str, codec.Record]:
    topic = path.parents[2].name
    return topic, codec.from_plain(topic, _unbase64(json.loads(path.read_text())))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: f"{p.parents[2].name}-{p.stem}")
def test_published_example_encodes_to_its_golden_bytes_and_back(path: Path) -> None:
    topic, record = _load(path)
    golden = (GOLDEN / f"{topic}.{path.parent.name}.{path.stem}.bin").read_bytes()
    assert codec.encode(topic, record) == golden
    assert codec.decode(topic, golden) == record


@pytest.mark.parametrize("path", OLDER, ids=lambda p: f"{p.parents[2].name}-{p.parent.name}-{p.stem}")
def test_message_of_an_older_version_is_still_read_and_says_what_it_said(path: Path) -> None:
    topic = path.parents[2].name
    said = _unbase64(json.loads(path.read_text()))
    golden = (GOLDEN / f"{topic}.{path.parent.name}.{path.stem}.bin").read_bytes()
    record = codec.decode(topic, golden)
    assert _holds(codec.to_plain(record), said)
    assert codec.decode(topic, codec.encode(topic, record)) == record


def _holds(found: Any, said: Any) -> bool:
    """Return whether every field of ``said`` is in ``found``, which may have more."""
    if isinstance(said, dict):
        return all(name in found and _holds(found[name], value) for name, value in said.items())
    if isinstance(said, list):
        return len(found) == len(said) and all(map(_holds, found, said))
    return bool(found == said)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: f"{p.parents[2].name}-{p.stem}")
def test_published_example_survives_the_confluent_frame(path: Path) -> None:
    topic, record = _load(path)
    registry = ConfluentRegistry("mock://test")
    raw = codec.encode(topic, record, registry)
    assert raw[0] == 0
    assert codec.decode(topic, raw, registry) == record


def test_every_avro_topic_has_a_schema_and_an_example() -> None:
    for topic in topics.TOPICS:
        if topic.value == "avro":
            assert codec.versions(topic.name)
            for version in codec.versions(topic.name):
                assert list((codec.SCHEMA_ROOT / topic.name).glob(f"examples/v{version}/*.json"))


def test_record_classes_mirror_their_schemas_field_for_field() -> None:
    for topic, cls in codec.RECORD_OF.items():
        fields = json.loads(codec.schema_json(topic))["fields"]
        assert [f["name"] for f in fields] == [f.name for f in dataclasses.fields(cls)]
        assert [f.get("default", dataclasses.MISSING) for f in fields] == [
            codec.to_plain(f.default) for f in dataclasses.fields(cls)
        ]


def test_schema_nobody_published_is_refused_by_fingerprint() -> None:
    with pytest.raises(MessageError) as caught:
        codec.decode(topics.RISK_STATES, b"\xc3\x01" + bytes(8) + b"body")
    assert caught.value.cause == "unknown_schema"


def test_record_of_another_topic_is_refused() -> None:
    _, order = _load(codec.SCHEMA_ROOT / "orders.requests/examples/v3/replace.json")
    with pytest.raises(MessageError, match="unknown_schema"):
        codec.decode(topics.RISK_STATES, codec.encode(topics.ORDERS_REQUESTS, order))


@pytest.mark.parametrize("raw", [b"", b"\xc3", b"\xc3\x01\x00", b"hello", b"\x00\x00\x00\x00\x01x"])
def test_bytes_without_a_frame_are_refused(raw: bytes) -> None:
    with pytest.raises(MessageError, match="unknown_schema"):
        codec.decode(topics.RISK_STATES, raw)


def test_every_truncation_of_a_state_is_refused() -> None:
    topic, state = _load(codec.SCHEMA_ROOT / "risk.states/examples/v2/high_alert.json")
    raw = codec.encode(topic, state)
    for cut in range(10, len(raw)):
        with pytest.raises(MessageError, match="bad_avro"):
            codec.decode(topic, raw[:cut])
    with pytest.raises(MessageError, match="left over"):
        codec.decode(topic, raw + b"\0")


def test_unknown_registry_id_is_refused() -> None:
    with pytest.raises(MessageError, match="not in the registry"):
        codec.decode(topics.RISK_STATES, b"\0\0\0\xff\xff", ConfluentRegistry("mock://empty"))


def test_value_that_does_not_fit_the_schema_names_the_record() -> None:
    _, state = _load(codec.SCHEMA_ROOT / "risk.states/examples/v2/high_alert.json")
    assert isinstance(state, RiskState)
    broken = dataclasses.replace(state, tick_ns="soon")  # type: ignore[arg-type]
    with pytest.raises(MessageError, match="bad_record: RiskState"):
        codec.encode(topics.RISK_STATES, broken)


def test_place_is_part_of_the_message() -> None:
    error = MessageError("bad_avro", "cut short", Place("risk.states", 2, 41))
    assert str(error) == "bad_avro: cut short at risk.states[2]@41"
