"""What people ask for, from the proposal to the topic: on disk at every step, in one SQLite file.

OPEN → SENDING → SENT, or OPEN → REFUSED, WITHDRAWN, LAPSED. Invariants: a command is fixed on disk, with its id, before it is
published, so a process that dies between the two publishes the same again at its next start, and the topic's readers apply an
id once; a proposal is decided once, by another person than its maker. Rejected: holding proposals in memory (a restart would
lose them), on ``risk.commands`` itself (its readers would have to know which commands are not meant yet).
"""

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from schemas import codec, topics
from schemas.records import RiskCommand

_TABLE: Final = """
CREATE TABLE IF NOT EXISTS proposals (
    proposal_id TEXT PRIMARY KEY,
    status TEXT NOT NULL,
    command TEXT NOT NULL,
    valid_s INTEGER,
    emergency INTEGER NOT NULL,
    idempotency_key TEXT,
    proposed_ns INTEGER NOT NULL,
    lapses_ns INTEGER NOT NULL,
    decided_by TEXT,
    decided_ns INTEGER,
    note TEXT NOT NULL DEFAULT ''
) STRICT"""
_ONCE: Final = "CREATE UNIQUE INDEX IF NOT EXISTS once ON proposals (json_extract(command, '$.maker'), idempotency_key)"
_COLUMNS: Final = (
    "proposal_id, status, command, valid_s, emergency, idempotency_key, "
    "proposed_ns, lapses_ns, decided_by, decided_ns, note"
)


class Status(StrEnum):
    """Where a proposal is."""

    OPEN = "OPEN"
    SENDING = "SENDING"  # decided and on disk; the broker has not said that it has it
    SENT = "SENT"  # on risk.commands; whether it was applied, alerts say
    REFUSED = "REFUSED"  # by a checker
    WITHDRAWN = "WITHDRAWN"  # by its maker
    LAPSED = "LAPSED"  # nobody decided in time


@dataclass(frozen=True, slots=True)
class Proposal:
    """A command on its way.

    Attributes:
        proposal_id: Its id, and that of the command.
        status: Where it is.
        command: What would be, or was, published; ``ts_ns``, ``expires_ns`` and ``checker`` are fixed by the decision.
        valid_s: How long after the decision the command holds, s; ``None`` = as ``command.expires_ns`` says.
        emergency: One person sent it alone.
        idempotency_key: The maker's own, so that a request sent twice is one proposal; ``None`` = none.
        proposed_ns: Wall time.
        lapses_ns: Wall time.
        decided_by: Who approved, refused or withdrew it.
        decided_ns: Wall time.
        note: What the one who decided said.
    """

    proposal_id: str
    status: Status
    command: RiskCommand
    valid_s: int | None
    emergency: bool
    idempotency_key: str | None
    proposed_ns: int
    lapses_ns: int
    decided_by: str | None = None
    decided_ns: int | None = None
    note: str = ""


def command_of(said: dict[str, Any]) -> RiskCommand:
    """Return the command of a plain form; what it does not say is empty, as in a row that an older version kept."""
    nothing: dict[str, Any] = {field.name: None for field in fields(RiskCommand)}
    begun = {"command_id": "", "ts_ns": 0, "administrator": ""}
    command = codec.from_plain(topics.RISK_COMMANDS, {**nothing, **begun, **said})
    assert isinstance(command, RiskCommand)
    return command


class UnknownProposalError(LookupError):
    """There is no proposal of this id."""


class DecidedError(RuntimeError):
    """A proposal that is no longer open; ``proposal`` says how it ended."""

    def __init__(self, proposal: Proposal) -> None:
        super().__init__(f"proposal {proposal.proposal_id} is {proposal.status.value}")
        self.proposal = proposal


class ProposalStore:
    """The proposals in one file; safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        path.chmod(0o600)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute(_TABLE)
        self._db.execute(_ONCE)

    def add(self, proposal: Proposal) -> Proposal:
        """Keep a new proposal; return it, or the one that its maker added under the same idempotency key before."""
        maker, key = proposal.command.maker, proposal.idempotency_key
        with self._transaction():
            if key is not None:
                where = "json_extract(command, '$.maker') = ? AND idempotency_key = ?"
                if found := self._select(where, (maker, key)):
                    return found[0]
            self._db.execute(f"INSERT INTO proposals ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?)", _row(proposal))  # noqa: S608
        return proposal

    def get(self, proposal_id: str) -> Proposal:
        """Return one proposal.

        Raises:
            UnknownProposalError: There is none of this id.
        """
        with self._lock:
            found = self._select("proposal_id = ?", (proposal_id,))
        if not found:
            raise UnknownProposalError(proposal_id)
        return found[0]

    def decide(self, decided: Proposal) -> Proposal:
        """Keep the decision on an open proposal.

        Raises:
            UnknownProposalError: There is none of this id.
            DecidedError: It was decided before, or lapsed by ``decided.decided_ns``.
        """
        now_ns = decided.decided_ns or 0
        with self._transaction():
            found = self._select("proposal_id = ?", (decided.proposal_id,))
            if not found:
                raise UnknownProposalError(decided.proposal_id)
            held = _as_of(found[0], now_ns)
            if held.status is not Status.OPEN:
                raise DecidedError(held)
            self._update(decided)
        return decided

    def mark_sent(self, proposal: Proposal) -> Proposal:
        """Keep that the broker has the command."""
        sent = replace(proposal, status=Status.SENT)
        with self._transaction():
            self._update(sent)
        return sent

    def unsent(self, before_ns: int) -> list[Proposal]:
        """Return what was decided before ``before_ns`` and may not have reached the broker, oldest first."""
        with self._lock:
            return self._select("status = ? AND decided_ns < ? ORDER BY decided_ns", (Status.SENDING.value, before_ns))

    def listed(self, now_ns: int, *, status: Status | None, limit: int) -> list[Proposal]:
        """Return proposals as they stand at ``now_ns``, newest first."""
        with self._lock:
            found = self._select("1 ORDER BY proposed_ns DESC, proposal_id LIMIT ?", (100_000 if status else limit,))
        standing = [_as_of(proposal, now_ns) for proposal in found]
        return [proposal for proposal in standing if status in {None, proposal.status}][:limit]

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _select(self, where: str, values: tuple[Any, ...]) -> list[Proposal]:
        rows = self._db.execute(f"SELECT {_COLUMNS} FROM proposals WHERE {where}", values)  # noqa: S608 (constants alone)
        return [_proposal(row) for row in rows]

    def _update(self, proposal: Proposal) -> None:
        self._db.execute(
            "UPDATE proposals SET status = ?, command = ?, decided_by = ?, decided_ns = ?, note = ? WHERE proposal_id = ?",
            (
                proposal.status.value,
                json.dumps(codec.to_plain(proposal.command)),
                proposal.decided_by,
                proposal.decided_ns,
                proposal.note,
                proposal.proposal_id,
            ),
        )


def _as_of(proposal: Proposal, now_ns: int) -> Proposal:
    is_over = proposal.status is Status.OPEN and now_ns >= proposal.lapses_ns
    return replace(proposal, status=Status.LAPSED) if is_over else proposal


def _row(proposal: Proposal) -> tuple[Any, ...]:
    return (
        proposal.proposal_id,
        proposal.status.value,
        json.dumps(codec.to_plain(proposal.command)),
        proposal.valid_s,
        int(proposal.emergency),
        proposal.idempotency_key,
        proposal.proposed_ns,
        proposal.lapses_ns,
        proposal.decided_by,
        proposal.decided_ns,
        proposal.note,
    )


def _proposal(row: tuple[Any, ...]) -> Proposal:
    command = command_of(json.loads(row[2]))
    return Proposal(row[0], Status(row[1]), command, row[3], bool(row[4]), *row[5:])
