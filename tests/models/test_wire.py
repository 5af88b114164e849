"""The wire of the SQL function: round trips, and damage that never surfaces as anything but a MessageError."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.spec import SCORED_NAMES, SPEC_HASH
from models.detectors.views import HORIZONS, VIEWED_NAMES, WINDOW, Views
from models.viewed import VIEWED, ViewedTicks, decode_viewed, encode_viewed
from models.wire import SCORES, ScaledTicks, Scores, decode_scores, encode_scores
from schemas.errors import MessageError

COUNT = len(SCORED_NAMES)
WIDE = len(VIEWED_NAMES)


def viewed(rows: int = 3) -> ViewedTicks:
    rng = np.random.Generator(np.random.PCG64(rows))
    values = rng.normal(size=(rows, WIDE))
    values[:, 2] = np.nan
    window = rng.normal(size=(rows, WINDOW, COUNT)).astype(np.float32)
    ids = np.arange(rows, dtype=np.uint32)
    ticks = ScaledTicks(
        channel_id="SIM",
        tick_ns=np.arange(rows, dtype=np.int64),
        instrument_id=ids,
        status=np.zeros(rows, dtype=np.uint32),
        ref_price=np.arange(rows, dtype=np.int64),
        values=values,
        z=window[:, -1],
        scored=np.arange(rows) % 2 == 0,
    )
    slow = rng.normal(size=(rows, HORIZONS, WIDE)).astype(np.float32)
    missed = rng.random(rows).astype(np.float32)
    return ViewedTicks(
        ticks, "default", Views(ids, window, slow, missed, np.ones(rows, np.bool_), np.arange(rows) % 2 == 1)
    )


def scores(rows: int = 3) -> Scores:
    return Scores("m", True, np.random.Generator(np.random.PCG64(rows)).random((rows, COUNT)).astype(np.float32))


@pytest.mark.parametrize("rows", [0, 1, 4])
def test_viewed_ticks_round_trip(rows: int) -> None:
    sent = viewed(rows)
    got = decode_viewed(encode_viewed(sent))
    assert (got.ticks.channel_id, got.model, len(got)) == ("SIM", "default", rows)
    for one, other in ((sent.ticks, got.ticks), (sent.views, got.views)):
        for column in fields(one):
            if column.name != "channel_id":
                sent_column, got_column = getattr(one, column.name), getattr(other, column.name)
                assert sent_column.dtype == got_column.dtype, column.name
                assert sent_column.shape == got_column.shape, column.name
                assert sent_column.tobytes() == got_column.tobytes(), column.name


@pytest.mark.parametrize("rows", [0, 1, 4])
def test_scores_round_trip(rows: int) -> None:
    sent = scores(rows)
    got = decode_scores(encode_scores(sent))
    assert (got.model_id, got.degraded) == (sent.model_id, sent.degraded)
    assert got.parts.tobytes() == sent.parts.tobytes()
    assert got.parts.shape == (rows, COUNT)


def test_each_decoder_refuses_the_other_format() -> None:
    with pytest.raises(MessageError, match="unknown_schema"):
        decode_viewed(encode_scores(scores()))
    with pytest.raises(MessageError, match="unknown_schema"):
        decode_scores(encode_viewed(viewed()))


def test_ticks_scaled_for_other_features_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.wire.SPEC_HASH", "0" * len(SPEC_HASH))
    raw = encode_viewed(viewed())
    monkeypatch.undo()
    with pytest.raises(MessageError, match="wrong_features"):
        decode_viewed(raw)


def test_format_names_are_what_other_systems_were_told() -> None:
    assert (VIEWED, SCORES) == (b"tidegate.viewed.v3", b"tidegate.scores.v3")


@given(st.data())
def test_law_any_damage_is_seen(data: st.DataObject) -> None:
    raw = bytearray(encode_viewed(viewed()))
    if data.draw(st.booleans()):
        raw = raw[: data.draw(st.integers(0, len(raw) - 1))]
    else:
        raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(MessageError):
        decode_viewed(bytes(raw))


@given(st.binary(max_size=200))
def test_law_random_bytes_are_refused(raw: bytes) -> None:
    with pytest.raises(MessageError):
        decode_viewed(raw)
