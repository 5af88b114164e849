"""The API process: opens every part, serves until it is told to stop, and closes them.

Invariant: what was decided before a crash is published before new decisions are taken, as soon as the broker answers.
"""

import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, Final

import confluent_kafka
import uvicorn

from api.app import make_app
from api.audit import AuditLog
from api.identity import TokenFile
from api.live.feed import Feed
from api.live.hub import Hub
from api.live.journal import Journal
from api.live.view import LiveView
from api.names import load_names
from api.proposals import ProposalStore
from api.routes.commands import send_what_was_left
from api.services import PublishError, Services, throttles_of
from api.settings import PREFIX, ApiSettings
from history import client
from schemas import codec, metrics, topics
from schemas.exposition import ProcessMetrics, Reading
from schemas.kafka_security import librdkafka_options
from schemas.process import settings_path, write_status
from schemas.records import RiskCommand
from schemas.registry import ConfluentRegistry
from schemas.settings import describe, load_settings
from schemas.units import NS_PER_S

log = logging.getLogger("tidegate.api")

STATUS_FILE: Final = "api.json"
PUBLISH_S: Final = 10.0
RESEND_S: Final = 2.0
ASK_S: Final = 30.0
ASK_WAIT_S: Final = 5.0
QUESTIONS_MAX: Final = 4
UNREADABLE: Final = "unreadable"
SWITCH_S: Final = 0.001
"""The reading thread gives way to requests after so long."""


class KafkaPublisher:
    """Puts commands on ``risk.commands``."""

    def __init__(self, settings: ApiSettings, registry: ConfluentRegistry | None) -> None:
        self._registry = registry
        self._lock = threading.Lock()
        self._producer = confluent_kafka.Producer(
            {
                **librdkafka_options(settings),
                "bootstrap.servers": settings.bootstrap_servers,
                "enable.idempotence": True,
                "delivery.timeout.ms": int(PUBLISH_S * 1_000),
                "reconnect.backoff.max.ms": 1_000,
                "log_level": 2,
            }
        )

    def publish(self, command: RiskCommand) -> None:
        """Return when the broker has the command.

        Raises:
            PublishError: It did not say so in time.
        """
        said: list[Any] = []
        value = codec.encode(topics.RISK_COMMANDS, command, self._registry)
        with self._lock:
            self._producer.produce(
                topics.RISK_COMMANDS, value, key=command.scope, on_delivery=lambda error, _message: said.append(error)
            )
            deadline = time.monotonic() + PUBLISH_S + 1
            while not said and time.monotonic() < deadline:
                self._producer.poll(0.05)
        if not said or said[0] is not None:
            raise PublishError(str(said[0]) if said else "the broker did not answer")


class NoPublisher:
    """Stands where there is no broker."""

    def publish(self, command: RiskCommand) -> None:
        """Refuse."""
        raise PublishError(f"there is no broker to take {command.command_id}")


class Process:
    """One run; every resource is opened here and closed by :meth:`close`."""

    def __init__(self, settings: ApiSettings) -> None:
        self.settings = settings
        registry = ConfluentRegistry(settings.schema_registry_url) if settings.schema_registry_url else None
        view = LiveView(ttl_ms=settings.ttl_ms, registry=registry)
        self._hub = Hub(view, Journal(settings.journal_events), self._health)
        self._feed = Feed(settings, view, self._hub)
        self._stopping = threading.Event()
        self._questions = threading.BoundedSemaphore(QUESTIONS_MAX)
        self.services = Services(
            settings=settings,
            authenticator=TokenFile(settings.tokens_path),
            throttles=throttles_of(settings),
            names=load_names(settings.names_path),
            view=view,
            hub=self._hub,
            proposals=ProposalStore(settings.state_dir / "proposals.db"),
            audit=AuditLog(settings.state_dir / "audit.jsonl"),
            publisher=KafkaPublisher(settings, registry) if settings.bootstrap_servers else NoPublisher(),
            ask=self._ask,
            health=self._health,
        )
        self.metrics = ProcessMetrics("api")
        self.metrics.read(self._readings)
        self._resender = threading.Thread(target=self._resend, name="api-resend", daemon=True)

    def start(self) -> None:
        """Start to read, and to publish what was left."""
        self.metrics.serve(self.settings.metrics_host, self.settings.metrics_port)
        if self.settings.bootstrap_servers:
            self._feed.start()
            self._resender.start()

    def close(self) -> None:
        """Stop and close everything."""
        self._stopping.set()
        self.metrics.close()
        if self.settings.bootstrap_servers:
            self._feed.close()
            self._resender.join(PUBLISH_S + 2)
        self.services.proposals.close()
        self.services.audit.close()

    def _ask(self, sql: str) -> client.Result:
        """Ask the history's owner, who answers one at a time: who would wait too long is told at once."""
        if not self._questions.acquire(timeout=ASK_WAIT_S):
            raise client.StoreError("too many questions wait")
        try:
            return client.query(sql, status_dir=self.settings.status_dir, timeout_s=ASK_S)
        finally:
            self._questions.release()

    def _readings(self) -> Iterator[Reading]:
        """Tell what a scrape asks for; on the scraping thread."""
        view = self.services.view
        yield metrics.API_STREAMS, len(self._hub)
        yield from (
            (metrics.API_MESSAGES, count, (topic,)) for topic, count in dict(view.counts).items() if topic != UNREADABLE
        )
        yield metrics.API_UNREADABLE, view.counts[UNREADABLE]
        yield metrics.API_LAG, self._feed.lag_messages
        yield metrics.API_CONNECTED, self._feed.connected
        yield from (
            (metrics.API_LETTERS, count, source_and_cause) for source_and_cause, count in dict(view.letters).items()
        )

    def _health(self) -> dict[str, Any]:
        return {"feed": self._feed.health(), "streams": len(self._hub)}

    def _resend(self) -> None:
        began_ns = time.time_ns()
        while not self._stopping.is_set():
            # What a request of this run is publishing right now is left to it for as long as that may take.
            before_ns = max(began_ns, time.time_ns() - 2 * int(PUBLISH_S) * NS_PER_S)
            try:
                if count := send_what_was_left(self.services, before_ns):
                    log.info("published_what_was_left count=%d", count)
                    self._hub.post_proposals()
            except PublishError as error:
                log.warning("not_published_yet detail=%s", error)
            self._stopping.wait(RESEND_S)


def main(argv: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; return the exit status."""
    path = settings_path(argv, prog="api.server", description="Serve REST, events and the console.", prefix=PREFIX)
    settings = load_settings(ApiSettings, path, prefix=PREFIX)
    log.info("start %s", describe(settings))
    return serve(settings)


def serve(settings: ApiSettings) -> int:
    """Serve until SIGTERM or SIGINT; return the exit status."""
    sys.setswitchinterval(SWITCH_S)
    process = Process(settings)
    process.start()
    config = uvicorn.Config(
        make_app(process.services, process.metrics),
        host=settings.host,
        port=settings.port,
        ssl_certfile=settings.tls_cert or None,
        ssl_keyfile=settings.tls_key or None,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=2,
        h11_max_incomplete_event_size=32 * 1024,
    )
    server = _Server(config, settings)
    for number in (
        signal.SIGTERM,
        signal.SIGINT,
    ):  # uvicorn raises them again when it has ended: then nothing is left to do
        signal.signal(number, lambda _number, _frame: None)
    try:
        server.run()
    finally:
        process.close()
        _write_status(settings, ended=True)
    return 0


class _Server(uvicorn.Server):
    """Says in ``api.json`` that it answers, once it does."""

    def __init__(self, config: uvicorn.Config, settings: ApiSettings) -> None:
        super().__init__(config)
        self._told = settings

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            _write_status(self._told, ended=False)


def _write_status(settings: ApiSettings, *, ended: bool) -> None:
    scheme = "https" if settings.tls_cert else "http"
    status = {
        "pid": os.getpid(),
        "ended": ended,
        "answers": not ended,
        "wall_ns": time.time_ns(),
        "url": f"{scheme}://{settings.host}:{settings.port}/",
    }
    write_status(settings.state_dir / STATUS_FILE, status)


if __name__ == "__main__":
    raise SystemExit(main())
