"""The wire of the SQL function: round trips, and damage that never surfaces as anything but a MessageError."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.spec import SCORED_NAMES, SPEC_HASH
from models.wire import (
    SCALED,
    SCORES,
    ScaledTicks,
    Scores,
    decode_scaled,
    decode_scores,
    encode_scaled,
    encode_scores,
)
from schemas.errors import MessageError

COUNT = len(SCORED_NAMES)


def scaled(rows: int = 3) -> ScaledTicks:
    rng = np.random.Generator(np.random.PCG64(rows))
    values = rng.normal(size=(rows, COUNT))
    values[:, 2] = np.nan
    return ScaledTicks(
        channel_id="SIM",
        tick_ns=np.arange(rows, dtype=np.int64),
        instrument_id=np.arange(rows, dtype=np.uint32),
        status=np.zeros(rows, dtype=np.uint32),
        ref_price=np.arange(rows, dtype=np.int64),
        values=values,
        z=rng.normal(size=(rows, COUNT)).astype(np.float32),
        scored=np.arange(rows) % 2 == 0,
    )


def scores(rows: int = 3) -> Scores:
    rng = np.random.Generator(np.random.PCG64(rows))
    return Scores("m", True, rng.random(rows), rng.random((rows, COUNT)).astype(np.float32))


@pytest.mark.parametrize("rows", [0, 1, 4])
def test_scaled_ticks_round_trip(rows: int) -> None:
    sent = scaled(rows)
    got = decode_scaled(encode_scaled(sent))
    assert got.channel_id == sent.channel_id
    for name in ("tick_ns", "instrument_id", "status", "ref_price", "values", "z", "scored"):
        one, other = getattr(sent, name), getattr(got, name)
        assert one.dtype == other.dtype, name
        assert one.shape == other.shape, name
        assert one.tobytes() == other.tobytes(), name


@pytest.mark.parametrize("rows", [0, 1, 4])
def test_scores_round_trip(rows: int) -> None:
    sent = scores(rows)
    got = decode_scores(encode_scores(sent))
    assert (got.model_id, got.degraded) == (sent.model_id, sent.degraded)
    assert got.error.tobytes() == sent.error.tobytes()
    assert got.share.tobytes() == sent.share.tobytes()
    assert got.share.shape == (rows, COUNT)


def test_each_decoder_refuses_the_other_format() -> None:
    with pytest.raises(MessageError, match="unknown_schema"):
        decode_scaled(encode_scores(scores()))
    with pytest.raises(MessageError, match="unknown_schema"):
        decode_scores(encode_scaled(scaled()))


def test_ticks_scaled_for_other_features_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.wire.SPEC_HASH", "0" * len(SPEC_HASH))
    raw = encode_scaled(scaled())
    monkeypatch.undo()
    with pytest.raises(MessageError, match="wrong_features"):
        decode_scaled(raw)


def test_format_names_are_what_other_systems_were_told() -> None:
    assert (SCALED, SCORES) == (b"tidegate.scaled.v2", b"tidegate.scores.v2")


@given(st.data())
def test_law_any_damage_is_seen(data: st.DataObject) -> None:
    raw = bytearray(encode_scaled(scaled()))
    if data.draw(st.booleans()):
        raw = raw[: data.draw(st.integers(0, len(raw) - 1))]
    else:
        raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(MessageError):
        decode_scaled(bytes(raw))


@given(st.binary(max_size=200))
def test_law_random_bytes_are_refused(raw: bytes) -> None:
    with pytest.raises(MessageError):
        decode_scaled(raw)
