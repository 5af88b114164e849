"""The first step of `score_risk`: views, dead letters, a switch of models at one tick, and exact restarts."""

import json
from dataclasses import replace
from typing import cast

import numpy as np
import pytest

from jobs.machines.keeping import SNAPSHOT_MESSAGES, Kept
from jobs.machines.tick_scaling import SHADOW_TICKS, Scaled, TickScaling
from models.folder import ModelShelf, write_folder
from models.model_files import MODEL_FILE, WEIGHTS_FILE
from models.viewed import decode_viewed
from schemas import codec, topics
from schemas.errors import Place
from schemas.events import TickStatus
from schemas.model_events import ModelEvent, ModelEventKind
from schemas.records import AlertKind, CommandKind, DeadLetter, RiskAlert, RiskCommand
from schemas.ticks import Ticks, decode_ticks, encode_ticks
from schemas.units import TICK_NS
from tests.models.conftest import calm_books as calm_session
from tests.models.conftest import model_of

PLACE = Place(topics.FEATURES_TICKS, 3, 9)
SWITCH_TICK = 650


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> ModelShelf:
    root = tmp_path_factory.mktemp("models")
    for name in ("first", "second", "other"):
        write_folder(model_of(root / name))
    text = (root / "other" / MODEL_FILE).read_text()
    raw = json.loads(text) | {"spec_hash": "0" * 16}
    (root / "other" / MODEL_FILE).write_text(json.dumps(raw))
    assert (root / "first" / WEIGHTS_FILE).exists()
    return ModelShelf(root / "first")


@pytest.fixture(scope="module")
def messages() -> list[bytes]:
    return [encode_ticks(ticks) for ticks in calm_session(5, 700, 2)]


def load(**changes: object) -> RiskCommand:
    command = RiskCommand(
        "load-1", CommandKind.LOAD_MODEL, "firm", SWITCH_TICK * TICK_NS, "ann", "bob", "refitted", 10**6 * TICK_NS, None
    )
    return replace(command, model="second", model_epoch=1, **changes)  # type: ignore[arg-type]


class Operator:
    """What Flink keeps of a machine, and a machine that dies when told to."""

    def __init__(self, shelf: ModelShelf) -> None:
        self.shelf = shelf
        self.snapshot: bytes | None = None
        self.entries: list[bytes] = []
        self.machine = TickScaling(shelf, epoch=1)

    def restart(self) -> None:
        self.machine = TickScaling(self.shelf, epoch=1, snapshot=self.snapshot, entries=self.entries)

    def apply(self, raw: bytes, *commands: RiskCommand) -> Scaled:
        scaled = self.machine.apply(raw, PLACE, commands)
        self.keep(scaled.kept)
        return scaled

    def keep(self, kept: Kept) -> None:
        if kept.snapshot is not None:
            self.snapshot, self.entries = kept.snapshot, []
        elif kept.entry is not None:
            self.entries.append(kept.entry)


def events_of(scaled: Scaled) -> list[ModelEvent]:
    return [cast("ModelEvent", codec.decode(topics.MODELS_EVENTS, raw)) for _, raw in scaled.events]


def alerts_of(scaled: Scaled) -> list[RiskAlert]:
    return [cast("RiskAlert", codec.decode(topics.RISK_ALERTS, raw)) for _, raw in scaled.alerts]


@pytest.mark.slow
def test_switch_comes_with_its_tick_once_its_scaling_ran_for_a_minute(shelf: ModelShelf, messages: list[bytes]) -> None:
    operator, models, alerts, events = Operator(shelf), [], [], []
    for raw in messages:
        scaled = operator.apply(raw, load())
        models += [(decode_viewed(one).model, int(decode_viewed(one).ticks.tick_ns[0])) for one in scaled.viewed]
        alerts += alerts_of(scaled)
        events += events_of(scaled)
    first = next(tick_ns for model, tick_ns in models if model == "second")
    assert first == SWITCH_TICK * TICK_NS
    assert [model for model, _ in models] == ["first"] * (SWITCH_TICK - 1) + ["second"] * (700 - SWITCH_TICK + 1)
    assert [(one.kind, one.instrument_id, one.ts_ns) for one in alerts] == [(AlertKind.COMMAND_APPLIED, 0, first)]
    assert "model second in force, first before" in alerts[0].message
    assert [(one.kind, one.ts_ns, one.maker, one.checker, one.previous_model_id) for one in events] == [
        (ModelEventKind.PROMOTED, TICK_NS, "score_risk", None, None),
        (ModelEventKind.PROMOTED, first, "ann", "bob", "test"),
    ]
    assert [one.detail for one in events] == ["channel TEST, folder first", "channel TEST, folder second"]


@pytest.mark.slow
def test_switch_that_is_due_at_once_waits_until_its_scaling_is_warm(shelf: ModelShelf, messages: list[bytes]) -> None:
    operator, command = Operator(shelf), load(ts_ns=5 * TICK_NS)
    models = [decode_viewed(operator.apply(raw, command).viewed[0]).model for raw in messages]
    assert models.index("second") == SHADOW_TICKS


@pytest.mark.slow
def test_instruments_have_an_opinion_throughout_a_switch(shelf: ModelShelf, messages: list[bytes]) -> None:
    operator = Operator(shelf)
    opined = [decode_viewed(operator.apply(raw, load()).viewed[0]).views.opined.all() for raw in messages]
    assert all(opined[SWITCH_TICK - 20 :])


@pytest.mark.slow
def test_message_of_many_ticks_is_cut_where_the_switch_is_due(shelf: ModelShelf) -> None:
    session = calm_session(5, 700, 2)
    columns = ("tick_ns", "instrument_id", "status", "ref_price", "values")
    whole: Ticks = replace(
        session[0], **{name: np.concatenate([getattr(one, name) for one in session]) for name in columns}
    )
    scaled = Operator(shelf).apply(encode_ticks(whole), load())
    first, second = (decode_viewed(one) for one in scaled.viewed)
    assert (first.model, second.model) == ("first", "second")
    assert int(second.ticks.tick_ns[0]) == SWITCH_TICK * TICK_NS
    assert len(first) + len(second) == len(whole.tick_ns)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (load(checker=None), "needs a second person"),
        (load(checker=" ANN "), "maker and checker are both"),
        (load(reason=""), "needs a reason"),
        (load(expires_ns=None), "needs an end"),
        (load(expires_ns=0), "expired at 0"),
        (replace(load(), model=None), "needs a model and a model_epoch"),
        (replace(load(), model_epoch=None), "needs a model and a model_epoch"),
        (replace(load(), model_epoch=0), "model_epoch 0 is not above 0"),
        (replace(load(), model="absent"), "FileNotFoundError"),
        (replace(load(), model="../first"), "no name of a model folder"),
        (replace(load(), model="other"), "trained on features 0000000000000000"),
    ],
)
def test_command_that_must_not_be_followed_is_told_once_and_changes_nothing(
    shelf: ModelShelf, messages: list[bytes], command: RiskCommand, words: str
) -> None:
    operator, clean, alerts, events = Operator(shelf), Operator(shelf), [], []
    for raw in messages[:30]:
        scaled = operator.apply(raw, command)
        alerts += alerts_of(scaled)
        events += events_of(scaled)
        assert scaled.viewed == clean.apply(raw).viewed
    assert [one.kind for one in alerts] == [AlertKind.COMMAND_REFUSED]
    assert words in alerts[0].message
    assert [(one.kind, words in one.detail) for one in events[1:]] == [(ModelEventKind.REFUSED, True)]


def test_later_switch_replaces_one_on_its_way_and_an_earlier_one_is_refused(
    shelf: ModelShelf, messages: list[bytes]
) -> None:
    operator = Operator(shelf)
    later = replace(load(), command_id="load-3", model="first", model_epoch=3)
    earlier = replace(load(), command_id="load-2", model_epoch=2)
    operator.apply(messages[0], load())
    assert not operator.apply(messages[1], load(), later).alerts
    assert [one.kind for one in alerts_of(operator.apply(messages[2], earlier))] == [AlertKind.COMMAND_REFUSED]


@pytest.mark.slow
@pytest.mark.parametrize("every", [1, 7])
def test_restart_between_any_two_messages_changes_no_byte(shelf: ModelShelf, messages: list[bytes], every: int) -> None:
    whole, cut = Operator(shelf), Operator(shelf)
    late = [load()] if every == 7 else []
    start = SWITCH_TICK - 40 if every == 1 else 0
    for raw in messages[:start]:
        whole.apply(raw, load())
        cut.apply(raw, load())
    for number, raw in enumerate(messages[start:]):
        commands = late if number >= 33 else [load()] if every == 1 else []
        if number % every == 0:
            cut.restart()
        one, other = whole.apply(raw, *commands), cut.apply(raw, *commands)
        assert one == other
    assert len(cut.entries) < SNAPSHOT_MESSAGES


def test_ticks_seen_before_leave_nothing(shelf: ModelShelf, messages: list[bytes]) -> None:
    operator = Operator(shelf)
    operator.apply(messages[0])
    assert not operator.apply(messages[0]).viewed


def test_ticks_that_cannot_be_read_become_dead_letters(shelf: ModelShelf, messages: list[bytes]) -> None:
    operator = Operator(shelf)
    scaled = operator.apply(b"junk")
    letter = cast("DeadLetter", codec.decode(topics.DEAD_LETTERS, scaled.letters[0][1]))
    assert not scaled.viewed
    assert scaled.kept == Kept()
    assert (letter.source, letter.topic, letter.partition, letter.offset) == ("score_risk", topics.FEATURES_TICKS, 3, 9)
    assert operator.apply(messages[0]).viewed


def test_a_row_beyond_its_range_goes_on_as_stale_and_leaves_as_a_dead_letter(shelf: ModelShelf) -> None:
    clean = calm_session(5, 40, 2)
    values = clean[30].values.copy()
    values[1, clean[30].feature_names.index("spread_bps")] = np.inf
    machine = TickScaling(shelf, epoch=1)
    scaled = [machine.apply(encode_ticks(ticks), PLACE) for ticks in [*clean[:30], replace(clean[30], values=values)]]
    assert not [one for one in scaled[:-1] if one.letters]
    ((_, raw),) = scaled[-1].letters
    letter = cast("DeadLetter", codec.decode(topics.DEAD_LETTERS, raw))
    assert (letter.cause, letter.topic, letter.partition, letter.offset) == (
        "bad_rows", PLACE.topic, PLACE.partition, PLACE.offset,
    )  # fmt: skip
    assert (
        f"instrument {clean[30].instrument_id[1]}, tick_ns {clean[30].tick_ns[1]}: spread_bps_range (inf)"
        in letter.detail
    )
    kept = decode_ticks(letter.raw)
    assert (kept.instrument_id.tolist(), kept.values.tobytes()) == ([clean[30].instrument_id[1]], values[1].tobytes())
    (viewed,) = map(decode_viewed, scaled[-1].viewed)
    assert ((viewed.ticks.status & TickStatus.STALE) != 0).tolist() == [False, True]


def test_a_message_with_bad_rows_is_told_once_over_a_restart(shelf: ModelShelf) -> None:
    clean = calm_session(5, 4, 2)
    values = clean[2].values.copy()
    values[0] = np.inf
    bad = encode_ticks(replace(clean[2], values=values))
    machine = TickScaling(shelf, epoch=1)
    kept = [machine.apply(raw, PLACE).kept for raw in [*map(encode_ticks, clean[:2]), bad]]
    again = TickScaling(shelf, epoch=1, entries=[one.entry for one in kept if one.entry is not None])
    assert not again.apply(bad, PLACE).letters
    assert again.apply(encode_ticks(clean[3]), PLACE) == machine.apply(encode_ticks(clean[3]), PLACE)
