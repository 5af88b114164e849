"""Settings of the API process; what would expose it by accident stops it at the start."""

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from schemas.kafka_security import KafkaSecurity
from schemas.settings import SettingsError, between, one_of

PREFIX: Final = "TIDEGATE_API"
CLOCKS: Final = ("wall", "event")


@dataclass(frozen=True, slots=True)
class ApiSettings(KafkaSecurity):
    """Settings of the API.

    Attributes:
        bootstrap_servers: Kafka; empty = no live topics (history alone).
        schema_registry_url: Empty for Avro single-object encoding.
        host: Address to listen on.
        port: Port to listen on.
        metrics_host: Where Prometheus may ask,
        metrics_port: and its port; 0 = no metrics.
        state_dir: Folder of ``proposals.db``, ``audit.jsonl`` and the status file ``api.json``.
        status_dir: Status folder of the history writer and the gate sidecar.
        tokens_path: File of hashed tokens (`tidegate token` writes it).
        names_path: TOML file with ``[[instruments]]`` of ``id``, ``symbol`` and ``channel``; empty = ids alone.
        tls_cert: Certificate chain, PEM; empty = plain HTTP.
        tls_key: Its key, PEM.
        behind_tls_proxy: Plain HTTP on other than the loopback is meant: something in front speaks TLS.
        clock: ``wall``: commands are dated by this machine; ``event``: by the newest tick, for replays and simulations.
        ttl_ms: How long a state stays valid from its arrival, as in the gate's sidecar.
        tail_messages: How far back each partition is read at the start (commands: always from the beginning).
        journal_events: Alerts, decisions and commands kept for subscribers that come back.
        page_max: Most rows in a JSON page.
        bulk_rows_max: Most rows in an Arrow or CSV answer.
        reads_per_s: Sustained requests of one identity; twice as many at once.
        commands_per_min: Sustained command requests of one identity.
        failures_per_min: Wrong tokens of one address before it must wait.
        streams_max: Event streams open at once.
        proposal_ttl_s: A proposal that nobody approved lapses after this time.
    """

    bootstrap_servers: str = ""
    schema_registry_url: str = ""
    host: str = "127.0.0.1"
    port: int = field(default=8080, metadata=between(0, 65_535))
    metrics_host: str = "127.0.0.1"
    metrics_port: int = field(default=0, metadata=between(0, 65_535))
    state_dir: Path = Path(".tidegate")
    status_dir: Path = Path(".tidegate")
    tokens_path: Path = Path(".tidegate/tokens.toml")
    names_path: str = ""
    tls_cert: str = ""
    tls_key: str = ""
    behind_tls_proxy: bool = False
    clock: str = field(default="wall", metadata=one_of(*CLOCKS))
    ttl_ms: int = field(default=3_000, metadata=between(1))
    tail_messages: int = field(default=20_000, metadata=between(1))
    journal_events: int = field(default=20_000, metadata=between(1))
    page_max: int = field(default=1_000, metadata=between(1))
    bulk_rows_max: int = field(default=1_000_000, metadata=between(1))
    reads_per_s: int = field(default=500, metadata=between(1))
    commands_per_min: int = field(default=60, metadata=between(1))
    failures_per_min: int = field(default=20, metadata=between(1))
    streams_max: int = field(default=64, metadata=between(1))
    proposal_ttl_s: int = field(default=900, metadata=between(1))

    def __post_init__(self) -> None:
        """Refuse what no run can use, and tokens in the clear on a network."""
        KafkaSecurity.__post_init__(self)
        if bool(self.tls_cert) != bool(self.tls_key):
            raise SettingsError("tls_cert and tls_key: one without the other")
        if not (self.tls_cert or self.behind_tls_proxy or _is_loopback(self.host)):
            raise SettingsError(
                f"host: {self.host} without tls_cert would send tokens in the clear; behind_tls_proxy says it is meant"
            )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
