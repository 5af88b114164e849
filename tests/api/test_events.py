"""Streams: what changed, events once, resumed by id, also across a restart."""

import asyncio
import functools
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from api.live.hub import KINDS, WAITING_MAX, Hub, Subscriber
from api.live.journal import BadEventIdError, Journal
from api.live.rows import COLUMNS
from api.live.view import LiveView
from schemas import codec, topics
from schemas.errors import Place
from schemas.records import RiskAlert, RiskState, Tier
from tests.api.session import SECOND_NS, START_NS, alert_of, session, state_of
from tests.api.worlds import World, world_in

ALL = frozenset(KINDS)


def hub_of(size: int = 100) -> Hub:
    return Hub(LiveView(ttl_ms=1_000), Journal(size), lambda: {"ok": True})


@functools.cache
def state() -> RiskState:
    return state_of(1, START_NS, Tier.NORMAL, before=Tier.NORMAL, score=0.5)


def alert(number: int) -> RiskAlert:
    made = alert_of(state())
    return RiskAlert(f"a{number}", made.kind, 1 + number % 2, made.ts_ns, 1, made.tier, "m", "s")


def place(offset: int, partition: int = 0) -> Place:
    return Place(topics.RISK_ALERTS, partition, offset)


def fill(hub: Hub, offsets: range, partition: int = 0) -> None:
    for offset in offsets:
        hub.post(place(offset, partition), alert(offset))
    hub.flush(time.monotonic_ns())


def ids(subscriber: Subscriber) -> list[str]:
    return [line[4:] for text in subscriber.events for line in text.splitlines() if line.startswith("id: ")]


def test_event_ids_say_how_far_each_partition_was_read() -> None:
    hub = hub_of()
    subscriber = hub.subscribe(ALL, None, [])
    fill(hub, range(2))
    fill(hub, range(5, 6), partition=1)
    assert ids(subscriber) == ["a0.0", "a0.1", "a0.1_a1.5"]


def test_who_comes_back_gets_each_later_event_once() -> None:
    hub = hub_of()
    fill(hub, range(10))
    missed, whole = hub.journal.since("a0.6")
    assert whole
    assert [entry.offset for entry in missed] == [7, 8, 9]


def test_id_of_before_a_restart_means_the_same_after_it() -> None:
    before, after = hub_of(), hub_of()
    fill(before, range(10))
    after.journal.begin(topics.RISK_ALERTS, 0, 3)  # the new process reads from there
    fill(after, range(3, 12))
    missed, whole = after.journal.since("a0.8")
    assert ([entry.offset for entry in missed], whole) == ([9, 10, 11], True)


def test_hole_that_cannot_be_filled_is_told() -> None:
    hub = hub_of(size=4)
    fill(hub, range(10))
    missed, whole = hub.journal.since("a0.2")
    assert ([entry.offset for entry in missed], whole) == ([6, 7, 8, 9], False)
    assert hub.journal.since("a0.5")[1]
    late = hub_of()
    late.journal.begin(topics.RISK_ALERTS, 0, 5)
    fill(late, range(5, 7))
    assert not late.journal.since("a0.1")[1]
    assert not late.journal.since("d0.1")[1]  # never heard of this partition: everything before 5 is missing


def test_replay_gives_the_newest_of_each_kind() -> None:
    hub = hub_of()
    fill(hub, range(10))
    assert [entry.offset for entry in hub.journal.newest(3, ALL)] == [7, 8, 9]
    assert hub.journal.newest(3, frozenset({"decision"})) == []


@pytest.mark.parametrize("wrong", ["", "5", "a", "a0.", "z0.1", "a0.1_", "a0.1\nx", "a0.99999999999999999999"])
def test_id_that_was_never_given_is_refused(wrong: str) -> None:
    with pytest.raises(BadEventIdError):
        hub_of().journal.since(wrong)


def test_subscriber_of_one_instrument_hears_of_no_other() -> None:
    hub = hub_of()
    subscriber = hub.subscribe(ALL, 2, [])
    fill(hub, range(4))
    assert len(ids(subscriber)) == 2


def test_subscriber_who_is_too_slow_for_events_is_cut_and_others_are_not() -> None:
    hub = hub_of(size=WAITING_MAX * 2)
    slow, quick = hub.subscribe(ALL, None, []), hub.subscribe(ALL, None, [])
    for start in range(0, WAITING_MAX + 500, 500):
        fill(hub, range(start, start + 500))
        quick.events.clear()
    assert slow.is_cut
    assert not quick.is_cut


def test_slow_subscriber_gets_the_newest_state_not_every_old_one(tmp_path: Any) -> None:
    with world_in(tmp_path, history=False) as world:
        hub = world.services.hub
        subscriber = hub.subscribe(frozenset({"states"}), None, [])
        for second in range(50):
            world.feed(list(session(seconds=1, with_grants=False)) if second == 0 else [])
            newest = state_of(
                1, START_NS + second * SECOND_NS, tier=Tier.NORMAL, before=Tier.NORMAL, score=float(second)
            )
            world.feed([(topics.RISK_STATES, codec.encode(topics.RISK_STATES, newest))])
            hub.flush(time.monotonic_ns())
        rows = json.loads(hub._next(subscriber).split("data: ")[1])["rows"]
        assert [row[0] for row in rows] == [1, 2, 3, 4]
        assert rows[0][COLUMNS.index("score")] == 49.0


def test_expiry_is_told_without_a_new_message(tmp_path: Any) -> None:
    with world_in(tmp_path, history=False, ttl_ms=1_000) as world:
        hub, now_ns = world.services.hub, time.monotonic_ns()
        world.feed(session(seconds=1), heard_ns=now_ns)
        hub.flush(now_ns)
        subscriber = hub.subscribe(frozenset({"states"}), 1, [])
        subscriber.changed.clear()
        hub.flush(now_ns + 900_000_000)
        assert not subscriber.changed
        hub.flush(now_ns + 1_100_000_000)
        assert subscriber.changed == {1}
        row = json.loads(hub._rows[1])
        assert row[COLUMNS.index("because")] == "expired"
        assert row[COLUMNS.index("max_order_qty")] == 50


def test_stream_begins_with_columns_and_newest_rows_and_ends_when_cut(tmp_path: Any) -> None:
    with world_in(tmp_path, history=False) as world:
        world.feed(session(seconds=1))
        texts = asyncio.run(first_of(world, 3))
    assert texts[0].startswith("retry: 1000\nevent: columns\n")
    assert texts[1] == "event: reset\ndata: {}\n\n"
    assert "event: states" in texts[2]


async def first_of(world: World, count: int) -> list[str]:
    hub = world.services.hub
    subscriber = hub.subscribe(ALL, None, [])
    hub.flush(time.monotonic_ns())
    stream: AsyncIterator[str] = hub.stream(subscriber, is_whole=False)
    texts = [await anext(stream) for _ in range(count)]
    subscriber.is_cut = True
    assert [text async for text in stream] == []
    assert len(hub) == 0
    return texts
