"""A rehearsed session into a store of its own: market data, what people did, and what training and data quality would have said.

The event of the model that only watches and the results of expectations are made here from the session, for the processes that
would tell them are not part of the loop.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from deploy.rehearsal.loop import Session, Told, rehearse
from deploy.rehearsal.scoring import SHADOW
from features.spec import SPEC_HASH
from feeds.formats import open_recording
from feeds.framing import frames_of
from feeds.simulator.session import simulate
from history import wire
from history.database import Store
from history.loading import Loaded, load
from history.migrate import migrate
from history.settings import HistorySettings
from schemas import codec, topics
from schemas.model_events import ModelEvent, ModelEventKind
from schemas.quality import QualityResult
from schemas.records import CommandKind, RiskCommand
from schemas.ticks import decode_ticks
from schemas.units import NS_PER_S, TICK_NS

SOURCE: Final = "rehearsal"
ALWAYS_KNOWN: Final = ("bid_qty_top", "ask_qty_top", "add_rate")
RELEASED_FOR_NS: Final = 60 * NS_PER_S


def simulated(scenario: str, seed: int, model_dir: Path) -> Session:
    """Return a simulated session with its own orders, simulated desks, and people who act around its marks."""
    found = simulate(scenario, seed)
    plan = found.scenario
    return Session(
        channel_id=plan.channel_id,
        frames=frames_of([found.block], plan.channel_id, start_ns=plan.start_ns, end_ns=plan.end_ns),
        start_ns=plan.start_ns,
        model_dir=model_dir,
        orders=found.orders,
        commands=_people(plan.marks, next((one.id for one in plan.instruments if one.shapes), None)),
        seed=seed,
    )


def recorded(form: str, path: Path, *, seconds: float, model_dir: Path, seed: int) -> Session:
    """Return the first seconds of a recording, with simulated desks that trade at its prices.

    Raises:
        FeedError: Malformed input, with its place.
    """
    found = open_recording(form, path)
    end_ns = min(found.end_ns, found.start_ns + int(seconds * NS_PER_S) // TICK_NS * TICK_NS)
    frames = frames_of(found.blocks(), found.channel_id, start_ns=found.start_ns, end_ns=found.end_ns)
    return Session(
        channel_id=found.channel_id,
        frames=(frame for frame in frames if frame.ts_last_ns <= end_ns),
        start_ns=found.start_ns,
        model_dir=model_dir,
        seed=seed,
    )


def told(session: Session) -> Iterator[Told]:
    """Yield the messages of the session, of its models and of the quality of its ticks.

    Raises:
        ModelError: The model folder cannot be used.
    """
    minute = _Minute()
    event = ModelEvent(
        event_id=f"{SHADOW}:{session.start_ns}",
        kind=ModelEventKind.SHADOWED,
        model_id=SHADOW,
        ts_ns=session.start_ns,
        maker=SOURCE,
        checker=None,
        reason="a rehearsal",
        previous_model_id=None,
        spec_hash=SPEC_HASH,
        metrics=(),
        detail="",
        source=SOURCE,
    )
    yield topics.MODELS_EVENTS, codec.encode(topics.MODELS_EVENTS, event)
    for topic, raw in rehearse(session):
        yield topic, raw
        if topic == topics.FEATURES_TICKS:
            yield from minute.take(raw)
    yield from minute.close()


def fill(settings: HistorySettings, messages: Iterator[Told]) -> Loaded:
    """Make a store, load the messages, and leave word where to ask.

    Raises:
        StoreError: The store refused a statement.
    """
    store = Store(settings)
    try:
        migrate(store)
        loaded = load(store, messages)
    finally:
        store.close()
    wire.write_owner(
        settings.status_dir,
        wire.Owner(
            settings.interface, str(settings.data_dir.resolve()), str(wire.usable_socket_path(settings.socket_path))
        ),
    )
    return loaded


def write_settings(settings: HistorySettings, path: Path) -> None:
    """Write settings with which `tidegate history serve --state` serves the store."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = {
        "bootstrap_servers": settings.bootstrap_servers,
        "data_dir": str(settings.data_dir.resolve()),
        "status_dir": str(settings.status_dir.resolve()),
        "socket_path": str(settings.socket_path.resolve()),
    }
    path.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items()))


def _people(marks: dict[str, int], instrument_id: int | None) -> list[RiskCommand]:
    """Return what a risk desk does around a crash: one person kills a strategy, two release the breaker."""
    if instrument_id is None or "release" not in marks:
        return []
    at_ns = marks["release"]

    def command(name: str, kind: CommandKind, scope: str, *, ts_ns: int, checker: str | None) -> RiskCommand:
        return RiskCommand(
            command_id=name,
            kind=kind,
            scope=scope,
            ts_ns=ts_ns,
            maker="risk-desk",
            checker=checker,
            reason="makers are back, book is deep again"
            if kind is CommandKind.RELEASE
            else "slices into a falling market",
            expires_ns=at_ns + RELEASED_FOR_NS if kind is CommandKind.RELEASE else None,
            envelope=None,
        )

    return [
        command("kill-vwap", CommandKind.KILL, "strategy:vwap", ts_ns=marks["key_order"] + NS_PER_S, checker=None),
        command(
            "release", CommandKind.RELEASE, f"instrument:{instrument_id}", ts_ns=at_ns - 5 * NS_PER_S, checker=None
        ),
        command("release", CommandKind.RELEASE, f"instrument:{instrument_id}", ts_ns=at_ns, checker="risk-head"),
        command("rearm-vwap", CommandKind.REARM, "strategy:vwap", ts_ns=at_ns, checker="risk-head"),
    ]


class _Minute:
    """Expectations on each minute of ticks: spreads are not negative, features that always exist are known."""

    def __init__(self) -> None:
        self._since_ns: int | None = None
        self._rows = 0
        self._unexpected: dict[str, int] = {}

    def take(self, raw: bytes) -> Iterator[Told]:
        """Count a message, and tell the minute before it once it is over."""
        ticks = decode_ticks(raw)
        minute_ns = int(ticks.tick_ns[0]) // (60 * NS_PER_S) * 60 * NS_PER_S
        if self._since_ns is not None and minute_ns > self._since_ns:
            yield from self.close()
        self._since_ns = minute_ns
        self._rows += ticks.row_count
        spread = ticks.values[:, ticks.feature_names.index("spread_bps")]
        self._add("spread_bps", int(np.sum(spread < 0)))
        for name in ALWAYS_KNOWN:
            self._add(name, int(np.sum(np.isnan(ticks.values[:, ticks.feature_names.index(name)]))))

    def close(self) -> Iterator[Told]:
        """Tell the minute and start anew."""
        if self._since_ns is None:
            return
        for column, unexpected in self._unexpected.items():
            name = "not_negative" if column == "spread_bps" else "known"
            result = QualityResult(
                result_id=f"{SOURCE}:{name}:{column}:{self._since_ns}",
                suite=SOURCE,
                expectation=name,
                table="ticks",
                column=column,
                instrument_id=None,
                ts_ns=self._since_ns + 60 * NS_PER_S,
                since_ns=self._since_ns,
                until_ns=self._since_ns + 60 * NS_PER_S,
                passed=unexpected == 0,
                severity="warning",
                rows=self._rows,
                unexpected=unexpected,
                detail="" if unexpected == 0 else f"{column}: {unexpected} of {self._rows} rows are not {name}",
                source=SOURCE,
            )
            yield topics.QUALITY_RESULTS, codec.encode(topics.QUALITY_RESULTS, result)
        self._since_ns, self._rows, self._unexpected = None, 0, {}

    def _add(self, column: str, unexpected: int) -> None:
        self._unexpected[column] = self._unexpected.get(column, 0) + unexpected
