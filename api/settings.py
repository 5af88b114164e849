"""Settings of the API process; what would expose it by accident stops it at the start."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from schemas.settings import SettingsError

PREFIX: Final = "TIDEGATE_API"
CLOCKS: Final = ("wall", "event")


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """Settings of the API.

    Attributes:
        bootstrap_servers: Kafka; empty = no live topics (history alone).
        schema_registry_url: Empty for Avro single-object encoding.
        host: Address to listen on.
        port: Port to listen on.
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
    port: int = 8080
    state_dir: Path = Path(".tidegate")
    status_dir: Path = Path(".tidegate")
    tokens_path: Path = Path(".tidegate/tokens.toml")
    names_path: str = ""
    tls_cert: str = ""
    tls_key: str = ""
    behind_tls_proxy: bool = False
    clock: str = "wall"
    ttl_ms: int = 3_000
    tail_messages: int = 20_000
    journal_events: int = 20_000
    page_max: int = 1_000
    bulk_rows_max: int = 1_000_000
    reads_per_s: int = 500
    commands_per_min: int = 60
    failures_per_min: int = 20
    streams_max: int = 64
    proposal_ttl_s: int = 900

    def __post_init__(self) -> None:
        """Refuse what no run can use, and tokens in the clear on a network."""
        if self.clock not in CLOCKS:
            raise SettingsError(f"clock: {self.clock!r} is none of {', '.join(CLOCKS)}")
        if bool(self.tls_cert) != bool(self.tls_key):
            raise SettingsError("tls_cert and tls_key: one without the other")
        positive = ("ttl_ms", "tail_messages", "journal_events", "page_max", "bulk_rows_max", "reads_per_s",
                    "commands_per_min", "failures_per_min", "streams_max", "proposal_ttl_s")  # fmt: skip
        for name in positive:
            if getattr(self, name) <= 0:
                raise SettingsError(f"{name}: must be above 0")
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
