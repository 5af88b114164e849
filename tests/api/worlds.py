"""A whole API in one process: real chDB folder behind its owner's socket, the live view fed with encoded messages."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from api.app import make_app
from api.audit import AuditLog
from api.identity import Role, TokenFile, issue
from api.live.hub import Hub
from api.live.journal import Journal
from api.live.view import LiveView
from api.names import Name
from api.proposals import ProposalStore
from api.services import PublishError, Services, throttles_of
from api.settings import ApiSettings
from history import client, wire
from history.batch import Arrival, Batch, Bounds
from history.database import Reader, Store
from history.migrate import migrate
from history.owner import OwnerSocket
from history.settings import HistorySettings
from schemas import codec, topics
from schemas.errors import Place
from schemas.records import RiskCommand

Message = tuple[str, bytes]
PEOPLE = {
    "vera": [Role.VIEWER],
    "max": [Role.MAKER],
    "cleo": [Role.CHECKER],
    "both": [Role.MAKER, Role.CHECKER],
    "Both": [Role.CHECKER],
}


@dataclass
class World:
    """The parts, and what drives them."""

    folder: Path
    settings: ApiSettings
    services: Services
    tokens: dict[str, str]
    store: Store | None = None
    broker_answers: bool = True
    published: list[RiskCommand] = field(default_factory=list)
    offsets: dict[str, int] = field(default_factory=dict)

    @property
    def app(self) -> FastAPI:
        return make_app(self.services)

    def headers(self, name: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens[name]}"}

    def feed(self, messages: Iterable[Message], *, heard_ns: int | None = 0) -> None:
        """Let messages arrive, in the view and in the history; ``heard_ns`` 0 = now."""
        batch = Batch(Bounds(10**6, 10**9, 10**9))
        for topic, value in messages:
            place = Place(topic, 0, self.offsets.get(topic, 0))
            self.offsets[topic] = place.offset + 1
            if topic in self._read:
                heard = time.monotonic_ns() if heard_ns == 0 else heard_ns
                if event := self.services.view.take(place, value, heard):
                    self.services.hub.post(place, event)
            batch.add(Arrival(place, value, 0), 0)
        if self.store is not None:
            for table, rows in batch.tables():
                self.store.insert(table, rows)
        assert not batch.letters, batch.letters

    def publish(self, command: RiskCommand) -> None:
        """Be the broker."""
        if not self.broker_answers:
            raise PublishError("no broker")
        self.published.append(command)
        self.feed([(topics.RISK_COMMANDS, codec.encode(topics.RISK_COMMANDS, command))])

    @property
    def _read(self) -> set[str]:
        from api.live.view import READ_TOPICS

        return set(READ_TOPICS)


@contextmanager
def world_in(folder: Path, *, history: bool = True, **settings: Any) -> Iterator[World]:
    """Open a world in a folder that may hold an older one, and close it."""
    tokens_path = folder / "tokens.toml"
    saved = folder / "plain_tokens"
    if not saved.exists():
        folder.mkdir(parents=True, exist_ok=True)
        saved.write_text("\n".join(f"{name} {issue(tokens_path, name, roles)}" for name, roles in PEOPLE.items()))
    tokens: dict[str, str] = dict(line.split(" ") for line in saved.read_text().splitlines())
    made = ApiSettings(state_dir=folder, status_dir=folder, tokens_path=tokens_path, **settings)
    view = LiveView(ttl_ms=made.ttl_ms)
    feed = {"connected": True, "caught_up": True, "behind": 0, "messages": 0, "unreadable": 0, "failure": None}
    hub = Hub(view, Journal(made.journal_events), lambda: {"feed": feed, "streams": 0})
    services = Services(
        settings=made,
        authenticator=TokenFile(tokens_path),
        throttles=throttles_of(made),
        names={1: Name("ALFA", "SIM"), 2: Name("BRVO", "SIM"), 3: Name("CHRL", "SIM"), 4: Name("DLTA", "SIM")},
        view=view,
        hub=hub,
        proposals=ProposalStore(folder / "proposals.db"),
        audit=AuditLog(folder / "audit.jsonl"),
        publisher=_Loop(),
        ask=lambda sql: client.query(sql, status_dir=folder, timeout_s=20),
        health=lambda: {"feed": feed, "streams": len(hub)},
    )
    world = World(folder, made, services, tokens)
    services.publisher.world = world  # type: ignore[attr-defined]
    owner: OwnerSocket | None = None
    if history:
        of_history = HistorySettings(bootstrap_servers="", data_dir=folder / "data", status_dir=folder)
        world.store = Store(of_history)
        migrate(world.store)
        owner = OwnerSocket(wire.usable_socket_path(folder / "h.sock"), lambda: Reader(of_history))
        wire.write_owner(folder, wire.Owner("chdb", str(folder / "data"), str(owner.path)))
    try:
        yield world
    finally:
        if owner:
            owner.close()
        if world.store:
            world.store.close()
        services.proposals.close()
        services.audit.close()


class _Loop:
    world: World

    def publish(self, command: RiskCommand) -> None:
        self.world.publish(command)
